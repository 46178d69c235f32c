"""The thread that turns a grabber into a source: pacing, newest-wins, loss and recovery."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from video_io.frames import Frame, Grabber, Rgb, SourceError, SourceEvent, SourceEventKind

RETRY_S = 1.0  # how often a lost or missing device is looked for


class ThreadedSource:
    """Owns one thread that opens, grabs, and reopens after a loss. Satisfies `FrameSource`.

    Only the newest picture is kept; a slow reader sees fewer pictures, never older ones. The same problem is reported
    once, however often reopening fails. `clock` gives seconds; it is injected so that `at_s` can share the app's clock.
    """

    def __init__(
        self, grabber: Grabber, *, clock: Callable[[], float] = time.monotonic, retry_s: float = RETRY_S
    ) -> None:
        self._grabber = grabber
        self._clock = clock
        self._retry_s = retry_s
        self._latest: Frame | None = None  # replaced whole; reading a reference needs no lock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._number = 0

    @property
    def label(self) -> str:
        return self._grabber.label

    @property
    def is_camera(self) -> bool:
        return self._grabber.is_camera

    def start(self, on_frame: Callable[[Frame], None], on_event: Callable[[SourceEvent], None]) -> None:
        if self._thread is not None:
            return
        # Daemon: a driver that hangs inside a read must not keep the process alive after quitting.
        self._thread = threading.Thread(
            target=self._run, args=(on_frame, on_event), name=f"pictures: {self.label}", daemon=True
        )
        self._thread.start()

    def latest(self) -> Frame | None:
        return self._latest

    def set_spacing(self, spacing_s: float) -> None:
        self._grabber.spacing_s = spacing_s

    def stop(self, timeout_s: float = 2.0) -> None:
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self, on_frame: Callable[[Frame], None], on_event: Callable[[SourceEvent], None]) -> None:
        reported: tuple[SourceEventKind, str] | None = None
        while not self._stopping.is_set():
            try:
                self._grabber.open()
                first = self._grabber.grab()
                if first is not None:
                    reported = None
                    self._publish(first, on_frame)  # who is told that it sees can look at once
                    on_event(SourceEvent(SourceEventKind.OPENED, self.label, f"Seeing through {self.label}."))
                    self._pump(on_frame)
                if not self._stopping.is_set():
                    on_event(SourceEvent(SourceEventKind.ENDED, self.label, f"{self.label} has ended."))
                return
            except SourceError as problem:
                if (problem.kind, problem.message) != reported and not self._stopping.is_set():
                    reported = (problem.kind, problem.message)
                    on_event(SourceEvent(problem.kind, self.label, problem.message, problem.remedy))
                self._latest = None
            finally:
                self._grabber.close()
            self._stopping.wait(self._retry_s)

    def _pump(self, on_frame: Callable[[Frame], None]) -> None:
        """Publishes pictures until the source ends or stops; raises SourceError when it is lost."""
        due_s = self._clock()
        while not self._stopping.is_set():
            interval_s = self._grabber.interval_s
            if interval_s > 0:
                # A late picture does not make the next ones hurry: the schedule restarts from now.
                due_s = max(due_s + interval_s, self._clock())
                if self._stopping.wait(max(0.0, due_s - self._clock())):
                    return
            picture = self._grabber.grab()
            if picture is None:
                return
            self._publish(picture, on_frame)

    def _publish(self, picture: Rgb, on_frame: Callable[[Frame], None]) -> None:
        if self._stopping.is_set():
            return  # it was taken for somebody who has turned away
        frame = Frame(picture, self._clock(), self._number)
        self._number += 1
        self._latest = frame
        on_frame(frame)
