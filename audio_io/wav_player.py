"""A player without a device: it keeps what would have been heard, for headless runs and tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import SPEECH_RATE_HZ, Samples
from audio_io.events import PlaybackFinished, PlaybackStarted, PlayerEvent
from audio_io.interfaces import Earcon, Heard
from audio_io.replies import ReplyQueue, to_ms
from audio_io.stretch import Stretch
from audio_io.wav_file import write_wav

TICK_S: Final = 0.02
STOP_LIMIT_S: Final = 2.5


class WavPlayer:
    """A `ReplyPlayer`. `clock` None: everything counts as heard at once. Otherwise sound passes as the clock does.

    With `realtime` a thread follows `time.monotonic`; with a `clock` of your own, call `poll` after moving it.
    """

    def __init__(
        self,
        emit: Callable[[PlayerEvent], None],
        realtime: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._emit = emit
        self._realtime = realtime
        self._clock = time.monotonic if realtime else clock
        self._lock = threading.RLock()
        self._queue = ReplyQueue()
        self._recorded: dict[str, list[Samples]] = {}
        self._volume = 1.0
        self._rate = 1.0
        self._paused = False
        self._last_s = 0.0 if self._clock is None else self._clock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.earcons_played: list[Earcon] = []
        self.tones_played: list[float] = []

    def start(self) -> None:
        if self._realtime and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="wav-player", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        while not self._stopping.wait(TICK_S):
            self.poll()

    def play(self, reply_id: str, samples: NDArray[np.float32]) -> None:
        with self._lock:
            self._pass_time()
            self._queue.add(reply_id, samples)
        if self._clock is None:
            self.poll()

    def finish(self, reply_id: str) -> None:
        with self._lock:
            self._pass_time()
            self._queue.finish(reply_id)
        if self._clock is None:
            self.poll()

    def flush(self) -> tuple[Heard, ...]:
        with self._lock:
            self._pass_time()
            self._paused = False
            return self._queue.flush()

    def pause(self) -> None:
        with self._lock:
            self._pass_time()
            self._paused = True

    def resume(self) -> None:
        with self._lock:
            self._pass_time()
            self._paused = False
        if self._clock is None:
            self.poll()

    def heard_ms(self, reply_id: str) -> int:
        with self._lock:
            self._pass_time()
            return self._queue.heard_ms(reply_id)

    def earcon(self, name: Earcon) -> None:
        self.earcons_played.append(name)

    def tone(self, frequency_hz: float) -> None:
        self.tones_played.append(frequency_hz)

    def set_volume(self, volume: float) -> None:
        if not 0 <= volume <= 1:
            raise ValueError(f"the volume must lie in 0..1, not {volume}")
        self._volume = volume

    def set_speech_rate(self, rate: float) -> None:
        checked = Stretch(rate).rate
        with self._lock:
            self._pass_time()
            self._rate = checked

    def poll(self) -> None:
        """Lets the time since the last call pass and emits what has begun and ended."""
        events: list[PlayerEvent] = []
        with self._lock:
            self._pass_time()
            while self._queue.replies:
                first = self._queue.replies[0]
                if first.heard and not first.announced:
                    first.announced = True
                    events.append(PlaybackStarted(first.reply_id))
                if not first.finished or first.heard < first.queued:
                    break
                self._queue.end_first()
                events.append(PlaybackFinished(first.reply_id, to_ms(first.heard), 0))
        for event in events:
            self._emit(event)

    def _pass_time(self) -> None:
        passed_s = 0.0
        if self._clock is not None:
            now_s = self._clock()
            passed_s, self._last_s = now_s - self._last_s, now_s
        if self._paused:
            return
        budget = round(passed_s * self._rate * SPEECH_RATE_HZ)
        for reply in self._queue.replies:
            wanted = reply.queued - reply.fed if self._clock is None else min(budget, reply.queued - reply.fed)
            heard = reply.take(wanted)
            budget -= len(heard)
            reply.heard = reply.fed
            if len(heard):
                self._recorded.setdefault(reply.reply_id, []).append(heard)
            if not reply.finished or reply.fed < reply.queued:
                break

    def heard_samples(self, reply_id: str) -> Samples:
        """float32 [n] at 24 kHz: what was heard of a reply, at the rate it was spoken."""
        with self._lock:
            pieces = self._recorded.get(reply_id, [])
            return np.concatenate(pieces) if pieces else np.empty(0, dtype=np.float32)

    def save(self, reply_id: str, path: Path | str) -> None:
        """Writes what was heard, with the volume. Raises WavFileError."""
        write_wav(path, self.heard_samples(reply_id) * np.float32(self._volume), SPEECH_RATE_HZ)

    def forget(self, reply_id: str) -> None:
        """Frees the recording."""
        with self._lock:
            self._recorded.pop(reply_id, None)
