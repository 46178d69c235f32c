"""Joins a source of blocks, the echo canceller and the segmenter, in the source's own thread."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from audio_io.blocks import BLOCK_SAMPLES, SILENT_BLOCK, Block, BlockSource, Samples, seconds_to_blocks
from audio_io.echo import EchoCanceller
from audio_io.events import (
    DeviceBack,
    DeviceLost,
    DeviceOpened,
    ListenerEvent,
    MicrophoneLevel,
    MicrophoneUseful,
    MicrophoneUseless,
    PartFailed,
    SourceEvent,
    SpeechEvent,
)
from audio_io.microphone import Microphone
from audio_io.reference import Reference
from audio_io.segmenter import Segmenter
from audio_io.usefulness import ADVICE, Fault, Usefulness

LEVEL_BLOCKS = seconds_to_blocks(0.1)
MOST_WAITING = 20
"""Blocks that wait for what the speaker played meanwhile: a sound server tells it a little later, on a busy computer
up to 0.2 s."""
SILENCE_DBFS = -100.0


class Listener:
    """`emit` is called from the source's thread, and from the caller's for the commands; it must only hand on.

    Without `reference` there is no echo to cancel (headphones, WAV files) and the canceller only suppresses noise;
    without `canceller` the sound is not touched.
    """

    def __init__(
        self,
        source: BlockSource,
        emit: Callable[[ListenerEvent], None],
        segmenter: Segmenter | None = None,
        canceller: EchoCanceller | None = None,
        reference: Reference | None = None,
    ) -> None:
        self._source = source
        self._emit = emit
        self._segmenter = segmenter or Segmenter()
        self._canceller = canceller
        self._reference = reference
        self._usefulness = Usefulness() if isinstance(source, Microphone) else None  # a file is what it is
        self._waiting: deque[Block] = deque()  # for the sound that was played meanwhile
        self._lock = threading.Lock()  # the segmenter's; commands and blocks come from different threads
        self._level_blocks = 0
        self._level_sum = 0.0
        if isinstance(source, Microphone):
            source.busy = self.busy

    def start(self) -> None:
        self._source.start(self._on_block, self._on_event)

    def stop(self) -> None:
        """Ends the source. May be called twice; nothing is emitted afterwards."""
        self._source.stop()

    def busy(self) -> bool:
        """True while an utterance is going on."""
        return self._segmenter.in_speech

    @property
    def muted(self) -> bool:
        return self._segmenter.muted

    def mute(self) -> None:
        with self._lock:
            self._send(self._segmenter.mute())

    def unmute(self) -> None:
        with self._lock:
            self._segmenter.unmute()

    def force_start(self) -> None:
        """Push-to-talk pressed."""
        with self._lock:
            self._send(self._segmenter.force_start())

    def force_end(self) -> None:
        """Push-to-talk released."""
        with self._lock:
            self._send(self._segmenter.force_end())

    def _send(self, events: list[SpeechEvent]) -> None:
        for event in events:
            self._emit(event)

    def _on_block(self, block: Block) -> None:
        self._waiting.append(block)
        while self._waiting and (
            self._reference is None
            or len(self._waiting) > MOST_WAITING
            or self._reference.covers(self._waiting[0].captured_at_s)
        ):
            self._take(self._waiting.popleft())

    def _take(self, block: Block) -> None:
        samples = block.samples
        if self._usefulness is not None and self._usefulness.feed(samples):
            self._report(self._usefulness.fault)
        if self._canceller is not None:
            far: Samples = (
                np.zeros(BLOCK_SAMPLES, np.float32)
                if self._reference is None
                else self._reference.block_for(block.captured_at_s)
            )
            samples = self._canceller.process(samples, far)
            # It may not begin an utterance; one that goes on is not cut to pieces.
            if self._reference is not None and self._reference.is_echo(block.samples) and not self._segmenter.in_speech:
                samples = SILENT_BLOCK
        with self._lock:
            self._send(self._segmenter.feed(samples))
        self._measure(samples)

    def _measure(self, samples: Samples) -> None:
        self._level_sum += float(np.dot(samples, samples))
        self._level_blocks += 1
        if self._level_blocks == LEVEL_BLOCKS:
            mean = self._level_sum / (LEVEL_BLOCKS * BLOCK_SAMPLES)
            self._emit(MicrophoneLevel(_power_dbfs(mean), self._segmenter.muted))
            self._level_blocks, self._level_sum = 0, 0.0

    def _report(self, fault: Fault) -> None:
        if fault:
            self._emit(MicrophoneUseless(ADVICE[fault].message, ADVICE[fault].remedy))
        else:
            self._emit(MicrophoneUseful())

    def _on_event(self, event: SourceEvent) -> None:
        if self._usefulness is not None and isinstance(event, DeviceOpened | DeviceBack | DeviceLost):
            if self._usefulness.fault:
                self._emit(MicrophoneUseful())  # of the one before; this one is judged anew
            self._usefulness.restart()
        if isinstance(event, DeviceLost | PartFailed):
            with self._lock:
                self._send(self._segmenter.cut("device lost"))
        self._emit(event)


def _power_dbfs(mean_square: float) -> float:
    return max(SILENCE_DBFS, 10 * math.log10(max(mean_square, 1e-10)))
