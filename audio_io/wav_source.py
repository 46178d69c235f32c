"""Sound files in the microphone's place: the same blocks, at the pace of speech or as fast as they are taken."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ, SILENT_BLOCK, Block, Samples
from audio_io.events import PartFailed, SourceEvent, SourceFinished
from audio_io.sound_file import open_sound

BEFORE_S: Final = 0.5
"""Silence before each file, for the pre-roll and the detectors."""
AFTER_S: Final = 2.0
"""Silence after each file, in which the segmenter finds the end."""
STOP_LIMIT_S: Final = 2.5


class WavSource:
    """A `BlockSource`. Between files a real-time source hands on silence; a fast one waits, its time standing still."""

    def __init__(self, realtime: bool = False) -> None:
        self._realtime = realtime
        self._waiting: deque[tuple[str, Iterator[Samples]]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def say(self, sound: Path | str | Samples, name: str | None = None) -> None:
        """Queues a file of any kind and length, or float32 [n] at 16 kHz; `SourceFinished` tells when it is over.

        Raises WavFileError. May be called before `start` and from any thread; files are read as they are heard.
        """
        pieces: Iterator[Samples]
        if isinstance(sound, Path | str):
            name, pieces = name or str(sound), open_sound(sound).pieces(INSIDE_RATE_HZ)
        else:
            name, samples = name or "samples", np.asarray(sound, dtype=np.float32)
            if samples.ndim != 1:
                raise ValueError(f"expected mono samples [n] at {INSIDE_RATE_HZ} Hz, not shape {samples.shape}")
            if not np.isfinite(samples).all():
                raise ValueError("the samples to say hold values that are not numbers")
            pieces = iter((samples,))
        with self._wake:
            self._waiting.append((name, _blocks(pieces)))
            self._wake.notify()

    def start(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None:
        if self._thread is not None:
            raise RuntimeError("this source has been started before; make a new one")
        self._thread = threading.Thread(target=self._run, args=(on_block, on_event), name="wav-source", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_S)

    def _run(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None:
        try:
            self._feed(on_block, on_event)
        except Exception as error:
            # The worker's end must be a visible state, whatever ended it.
            on_event(PartFailed("microphone", f"Reading sound has stopped ({error!r}).", "Start again."))
            raise

    def _feed(self, on_block: Callable[[Block], None], on_event: Callable[[SourceEvent], None]) -> None:
        number = 0
        began_s = time.monotonic()
        name = ""
        blocks: Iterator[Samples] | None = None
        while True:
            with self._wake:
                if self._realtime:
                    due_s = began_s + (number + 1) * BLOCK_S
                    self._wake.wait_for(lambda: self._stopping, max(0.0, due_s - time.monotonic()))
                elif blocks is None:
                    self._wake.wait_for(lambda: self._stopping or self._waiting)
                if self._stopping:
                    return
                if blocks is None and self._waiting:
                    name, blocks = self._waiting.popleft()
            block = next(blocks, None) if blocks is not None else SILENT_BLOCK
            if block is None:
                blocks = None
                on_event(SourceFinished(name, number * BLOCK_S))
                continue
            on_block(Block(block, number))
            number += 1


def _blocks(pieces: Iterator[Samples]) -> Iterator[Samples]:
    """Float32 [160] one after the other: silence, the sound, silence."""
    silent = (round(seconds / BLOCK_S) for seconds in (BEFORE_S, AFTER_S))
    n_before, n_after = silent
    for _ in range(n_before):
        yield SILENT_BLOCK
    rest = np.empty(0, np.float32)
    for piece in pieces:
        rest = np.concatenate((rest, piece))
        n_blocks = len(rest) // BLOCK_SAMPLES
        yield from rest[: n_blocks * BLOCK_SAMPLES].reshape(n_blocks, BLOCK_SAMPLES)
        rest = rest[n_blocks * BLOCK_SAMPLES :]
    if len(rest):
        yield np.concatenate((rest, np.zeros(BLOCK_SAMPLES - len(rest), np.float32)))
    for _ in range(n_after):
        yield SILENT_BLOCK
