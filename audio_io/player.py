"""The speaker: plays replies, mixes earcons in, stops at once, and knows what was really heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import SPEECH_RATE_HZ, Samples
from audio_io.device_keeper import LOOK_LIMIT_S, DeviceKeeper
from audio_io.earcons import load_earcons, tone
from audio_io.events import PartFailed, PlaybackFinished, PlaybackStarted, PlayerEvent, SoundGap
from audio_io.host import OpenStream, SoundHost
from audio_io.interfaces import Earcon, Heard
from audio_io.reference import EchoReference
from audio_io.replies import QueuedReply, ReplyQueue, to_ms
from audio_io.resample import Resampler, resample
from audio_io.speaker_stream import SpeakerStream
from audio_io.stretch import Stretch

LATENCY_S: Final = 0.05
"""Asked of the device: below 0.04 s virtual devices underran, and all of it plays on after a stop."""
START_S: Final = 0.08
"""Jitter buffer: a reply starts once this much of it is there (one step of the codec), or all of it."""
RESTART_S: Final = 0.24
"""After the speaker ran dry inside a reply, so that it does not stutter."""
AHEAD_S: Final = 0.3
"""Converted and written ahead of the device: survives a stall of the worker, delays a change of rate by as much."""
SLICE: Final = SPEECH_RATE_HZ * 20 // 1000
BUSY_TICK_S, IDLE_TICK_S = 0.01, 0.05
GIVE_UP_S: Final = 3.0
"""Without a device for so long, finished replies are reported with what was heard, so that nobody waits for them."""
STOP_LIMIT_S: Final = 2.5


class Player:
    """A `ReplyPlayer` on a real device. `emit` is called from the player's thread; `reference` feeds the canceller."""

    def __init__(
        self,
        host: SoundHost,
        emit: Callable[[PlayerEvent], None],
        device: str | int | None = None,
        earcon_folder: Path | None = None,
    ) -> None:
        self.reference = EchoReference()
        self._host = host
        self._emit = emit
        self._device = device
        self._earcons = load_earcons(earcon_folder)
        self._lock = threading.Lock()  # guards everything below; never taken by the callback
        self._queue = ReplyQueue()
        self._stream: SpeakerStream | None = None
        self._stretch = Stretch()
        self._resampler = Resampler(SPEECH_RATE_HZ, SPEECH_RATE_HZ)
        self._feeding: str | None = None  # the reply that the two above convert
        self._origin = 0  # position in that reply at which they began
        self._starved = False
        self._seen_stream: SpeakerStream | None = None
        self._dry_seen = self._dry_samples_seen = 0
        self._paused = False
        self._volume = 1.0
        self._speech_rate = 1.0
        self._switch_to: tuple[str | int | None] | None = None
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.underruns = 0
        """Times the speaker ran dry inside a reply, since the start."""

    # --- commands, from any thread ---

    def start(self) -> None:
        if self._thread is not None:
            raise RuntimeError("this player has been started before; make a new one")
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_S)

    def play(self, reply_id: str, samples: NDArray[np.float32]) -> None:
        with self._lock:
            self._queue.add(reply_id, samples)
        self._wake.set()

    def finish(self, reply_id: str) -> None:
        with self._lock:
            self._queue.finish(reply_id)
        self._wake.set()

    def flush(self) -> tuple[Heard, ...]:
        with self._lock:
            # What the device has taken will leave it whatever happens here: that counts as heard.
            if self._stream is not None and self._queue.replies:
                self._queue.replies[0].follow(self._stream.speech.read_count)
            if self._stream is not None:
                self._stream.expecting = False
                self._stream.flush()
                self._stream.paused = False
            self._paused = False
            self._feeding = None
            self._starved = False
            return self._queue.flush()

    def pause(self) -> None:
        with self._lock:
            self._paused = True
            if self._stream is not None:
                self._stream.paused = True

    def resume(self) -> None:
        with self._lock:
            self._paused = False
            if self._stream is not None:
                self._stream.paused = False
        self._wake.set()

    def heard_ms(self, reply_id: str) -> int:
        with self._lock:
            self._follow(time.monotonic())
            return self._queue.heard_ms(reply_id)

    def earcon(self, name: Earcon) -> None:
        self._mix_in(self._earcons[name])

    def tone(self, frequency_hz: float) -> None:
        self._mix_in(tone(frequency_hz))

    def _mix_in(self, sound: Samples) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.earcons.write(resample(sound, SPEECH_RATE_HZ, self._stream.rate_hz)[:, None])

    def set_volume(self, volume: float) -> None:
        if not 0 <= volume <= 1:
            raise ValueError(f"the volume must lie in 0..1, not {volume}")
        with self._lock:
            self._volume = volume
            if self._stream is not None:
                self._stream.gain = volume

    def set_speech_rate(self, rate: float) -> None:
        checked = Stretch(rate).rate
        with self._lock:
            self._speech_rate = checked

    def switch(self, device: str | int | None) -> None:
        """Uses another device from now on; what plays goes on there."""
        self._switch_to = (device,)
        self._wake.set()

    # --- the worker ---

    def _run(self) -> None:
        keeper = DeviceKeeper(self._host, "speaker", self._device, self._open, self._emit)
        without_since_s: float | None = time.monotonic()
        try:
            while not self._stopping:
                self._wake.wait(BUSY_TICK_S if self._queue.replies else IDLE_TICK_S)
                self._wake.clear()
                now_s = time.monotonic()
                if self._switch_to is not None:
                    (device,), self._switch_to = self._switch_to, None
                    keeper.switch(device, now_s)
                stream = self._stream
                idle = not self._queue.replies and (stream is None or not len(stream.earcons))
                keeper.tick(now_s, 0 if stream is None else stream.callbacks, may_close=idle)
                if keeper.stream is None and self._stream is not None:
                    self._close()
                if keeper.stream is not None:
                    without_since_s = None
                elif without_since_s is None:
                    without_since_s = now_s
                give_up = without_since_s is not None and now_s - without_since_s > GIVE_UP_S
                for event in self._advance(now_s, give_up):
                    self._emit(event)
        except Exception as error:
            # The worker's end must be a visible state, whatever ended it.
            self._emit(PartFailed("speaker", f"The speaker has stopped ({error!r}).", "Start the app again."))
            raise
        finally:
            keeper.join(LOOK_LIMIT_S)
            self._close()

    def _open(self, device: str | int | None, finished: Callable[[], None]) -> OpenStream:
        made: list[SpeakerStream] = []

        def prepare(rate_hz: int, channels: int) -> None:
            stream = SpeakerStream(rate_hz, self.reference.open(rate_hz))
            stream.gain = self._volume
            stream.paused = self._paused
            made.append(stream)

        def callback(out: Samples, n_samples: int, times: object, status: object) -> None:
            made[-1].callback(out, n_samples, times, status)

        opened = self._host.open("speaker", device, callback, finished, LATENCY_S, prepare)
        with self._lock:
            self._stream = made[-1]
            self._feeding = None
        return opened

    def _close(self) -> None:
        """The device is gone: what was not heard is kept for the next one."""
        with self._lock:
            if self._stream is None:
                return
            self._follow(time.monotonic())
            self._stream = None
            self.reference.close()
            for reply in self._queue.replies:
                reply.rewind()

    def _follow(self, now_s: float) -> None:
        if self._stream is not None and self._queue.replies:
            left = self._stream.left_speaker(now_s)
            for reply in self._queue.replies:
                reply.follow(left)

    def _advance(self, now_s: float, give_up: bool) -> list[PlayerEvent]:
        """Writes ahead, follows what has been heard, and says what has begun and ended."""
        events: list[PlayerEvent] = []
        with self._lock:
            stream = self._stream
            if stream is not None:
                self._count_gaps(stream, events)
                self._write_ahead(stream)
                self._follow(now_s)
            while self._queue.replies:
                first = self._queue.replies[0]
                if first.heard > 0 and not first.announced:
                    first.announced = True
                    events.append(PlaybackStarted(first.reply_id))
                all_heard = first.heard >= first.queued and (first.tail_written or first.queued == 0)
                if not first.finished or not (all_heard or give_up):
                    break
                self._queue.end_first()
                events.append(PlaybackFinished(first.reply_id, to_ms(first.heard), first.underruns))
        return events

    def _count_gaps(self, stream: SpeakerStream, events: list[PlayerEvent]) -> None:
        if self._seen_stream is not stream:
            self._seen_stream, self._dry_seen, self._dry_samples_seen = stream, 0, 0
        new = stream.dry_count - self._dry_seen
        if new > 0:
            self._dry_seen = stream.dry_count
            self.underruns += new
            self._starved = True
            if self._queue.replies:
                self._queue.replies[0].underruns += new
        lost = stream.dry_samples - self._dry_samples_seen
        if lost > 0 and not stream.is_dry:  # the gap is over: now its length is known
            self._dry_samples_seen = stream.dry_samples
            events.append(SoundGap("speaker", 1000 * lost / stream.rate_hz, self.underruns))

    def _write_ahead(self, stream: SpeakerStream) -> None:
        ahead = round(AHEAD_S * stream.rate_hz)
        for reply in self._queue.replies:
            if reply.tail_written:
                continue
            if self._feeding != reply.reply_id and not self._begin(reply, stream):
                break
            if self._starved and not reply.finished and reply.queued - reply.fed < RESTART_S * SPEECH_RATE_HZ:
                break
            self._starved = False
            while len(stream.speech) < ahead and not reply.tail_written:
                samples = reply.take(SLICE)
                last = reply.finished and reply.fed == reply.queued
                if not len(samples) and not last:
                    break
                if self._stretch.rate != self._speech_rate:
                    self._stretch.rate = self._speech_rate
                made = self._resampler.push(self._stretch.push(samples, last), last)
                stream.speech.write(made[:, None])
                reply.tail_written = last
                reply.mark(stream.speech.written, self._origin + self._stretch.position)
            # Silence after what is written would be a gap, unless the reply's end is.
            stream.expecting = not reply.tail_written
            if not reply.tail_written:
                break
            self._feeding = None

    def _begin(self, reply: QueuedReply, stream: SpeakerStream) -> bool:
        """Starts to convert a reply as soon as enough of it is there."""
        if not reply.finished and reply.queued - reply.fed < START_S * SPEECH_RATE_HZ:
            return False
        self._feeding = reply.reply_id
        self._stretch = Stretch(self._speech_rate)
        self._resampler = Resampler(SPEECH_RATE_HZ, stream.rate_hz)
        self._origin = reply.fed
        reply.mark(stream.speech.written, reply.fed)
        return True
