"""The microphone: a PortAudio stream at the device's own rate, handed on as 10 ms blocks at 16 kHz."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Block, Samples
from audio_io.channels import ChannelMixer
from audio_io.clocks import SampleClock
from audio_io.device_keeper import LOOK_LIMIT_S, DeviceKeeper
from audio_io.events import PartFailed, SoundGap, SourceEvent
from audio_io.host import OpenStream, SoundHost
from audio_io.resample import Resampler
from audio_io.ring import SampleRing, StampRing

RING_S = 2.0
TICK_S, IDLE_TICK_S = 0.005, 0.02
"""The worker looks into the ring this often while somebody speaks, and while nobody does: every look costs power, and
the callback must not wake the worker, because waking takes a lock."""
LATENCY_S = 0.02
STOP_LIMIT_S = 2.5


class _Capture:
    """One opened stream's side of the callback; replaced as a whole when the device is opened again."""

    def __init__(self) -> None:
        self.callbacks = 0
        self.device_overflows = 0
        self.ring = SampleRing(1)
        self.stamps = StampRing()

    def callback(self, samples: Samples, n_samples: int, times: Any, status: Any) -> None:
        # PortAudio's clock differs between systems; only its differences are used.
        age_s = times.currentTime - times.inputBufferAdcTime if times.inputBufferAdcTime > 0 else 0.0
        self.stamps.write(self.ring.written, time.monotonic() - age_s)
        self.ring.write(samples)
        if status.input_overflow:
            self.device_overflows += 1
        self.callbacks += 1


class Microphone:
    """A `BlockSource`. `device`: PortAudio's index, a part of a name, or None for the default."""

    def __init__(self, host: SoundHost, device: str | int | None = None) -> None:
        self._host = host
        self._device = device
        self._switch_to: tuple[str | int | None] | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.opposed = False
        """Its channels cancel each other out, or only one has sound: the louder one is taken."""
        self.busy: Callable[[], bool] = lambda: False
        """Set by the listener: True while somebody speaks, so that the stream is not closed just then."""

    def start(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None:
        if self._thread is not None:
            raise RuntimeError("this microphone has been started before; make a new one")
        self._thread = threading.Thread(target=self._run, args=(on_block, on_event), name="microphone", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_S)

    def switch(self, device: str | int | None) -> None:
        """Uses another device from now on; from any thread."""
        self._switch_to = (device,)

    def _run(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None:
        capture = _Capture()
        converter: _Converter | None = None

        def open_stream(device: str | int | None, finished: Callable[[], None]) -> OpenStream:
            nonlocal capture, converter
            capture = _Capture()
            # The ring must be there before the first callback, the rate is known only afterwards: make it for the
            # highest rate in use. Two channels are mixed down by the worker.
            stream = self._host.open(
                "microphone", device, capture.callback, finished, LATENCY_S, prepare=lambda rate_hz, channels: prepare(
                    capture, rate_hz, channels
                ),
            )  # fmt: skip
            converter = _Converter(stream.rate_hz, 0 if converter is None else converter.number)
            return stream

        def prepare(new: _Capture, rate_hz: int, channels: int) -> None:
            new.ring = SampleRing(round(RING_S * rate_hz), channels)

        keeper = DeviceKeeper(self._host, "microphone", self._device, open_stream, on_event)
        total_callbacks = 0
        gaps = 0
        lost_seen = overflows_seen = 0
        current = capture
        try:
            while not self._stopping.wait(TICK_S if self.busy() else IDLE_TICK_S):
                now_s = time.monotonic()
                if self._switch_to is not None:
                    (device,), self._switch_to = self._switch_to, None
                    keeper.switch(device, now_s)
                keeper.tick(now_s, total_callbacks + capture.callbacks, may_close=not self.busy())
                if current is not capture:
                    total_callbacks += current.callbacks
                    current, lost_seen, overflows_seen = capture, 0, 0
                if keeper.stream is None or converter is None:
                    continue
                lost = capture.ring.overflow_samples
                if lost > lost_seen or capture.device_overflows > overflows_seen:
                    gaps += 1
                    on_event(SoundGap("microphone", 1000 * (lost - lost_seen) / keeper.stream.rate_hz, gaps))
                    lost_seen, overflows_seen = lost, capture.device_overflows
                blocks = converter.convert(capture)
                self.opposed = converter.opposed
                for block in blocks:
                    on_block(block)
        except Exception as error:
            # The worker's end must be a visible state, whatever ended it.
            on_event(PartFailed("microphone", f"The microphone has stopped ({error!r}).", "Start the app again."))
            raise
        finally:
            keeper.join(LOOK_LIMIT_S)


class _Converter:
    """Device samples to blocks. Owned by the worker; one per opened stream, the block number goes on."""

    def __init__(self, rate_hz: int, number: int) -> None:
        self.number = number
        self._first_number = number
        self._clock = SampleClock(rate_hz)
        self._rate_hz = rate_hz
        self._stamps_seen = 0
        self._resampler = Resampler(rate_hz, INSIDE_RATE_HZ)
        self._mixer = ChannelMixer(rate_hz)
        self._rest: Samples = np.empty(0, dtype=np.float32)

    @property
    def opposed(self) -> bool:
        return self._mixer.opposed

    def convert(self, capture: _Capture) -> list[Block]:
        self._clock.add(capture.stamps.since(self._stamps_seen))
        self._stamps_seen = max(self._stamps_seen, capture.stamps.written - 1)
        captured = capture.ring.read()  # [n, channels]
        if not len(captured):
            return []
        inside = np.concatenate((self._rest, self._resampler.push(self._mixer.mix(captured))))
        n_blocks = len(inside) // BLOCK_SAMPLES
        self._rest = inside[n_blocks * BLOCK_SAMPLES :]
        blocks = []
        for i in range(n_blocks):
            position = (self.number - self._first_number) * BLOCK_SAMPLES * self._rate_hz / INSIDE_RATE_HZ
            at_s = self._clock.time_of(position) if self._clock.is_set else None
            samples = np.clip(inside[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES], -1.0, 1.0)
            blocks.append(Block(samples, self.number, at_s))
            self.number += 1
        return blocks
