"""How far a download is, in bytes and time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Phase = Literal["looking", "fetching", "converting", "done"]

REPORT_EVERY_S = 0.25
RATE_WINDOW_S = 20.0


@dataclass(frozen=True)
class Progress:
    """`done_bytes` of `total_bytes` are on this disk; `fetched_bytes` of them came in this run (broken ones too)."""

    phase: Phase
    file: str
    done_bytes: int
    total_bytes: int
    fetched_bytes: int
    bytes_per_s: float
    left_s: float | None
    note: str = ""

    @property
    def percent(self) -> int:
        return 100 if self.phase == "done" else min(99, 100 * self.done_bytes // max(self.total_bytes, 1))

    def to_json(self) -> dict[str, Any]:
        return {"event": "progress", "percent": self.percent} | asdict(self)


class Meter:
    """Counts bytes and tells `report` now and then. Owned by the thread that fetches."""

    def __init__(
        self,
        total_bytes: int,
        report: Callable[[Progress], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fetched_bytes = 0
        self._total, self._done, self._report, self._now_s = total_bytes, 0, report, now_s
        self._phase: Phase = "fetching"
        self._file = ""
        self._next_s = 0.0
        self._marks: deque[tuple[float, int]] = deque([(now_s(), 0)])

    def add(self, file: str, n_bytes: int) -> None:
        """Bytes came (or, negative, were lost)."""
        self._file, self._phase = file, "fetching"
        self._done += n_bytes
        self.fetched_bytes += max(n_bytes, 0)
        if self._now_s() >= self._next_s:
            self.tell()

    def had(self, n_bytes: int) -> None:
        """Bytes that an earlier run left."""
        self._done += n_bytes

    def total(self, n_bytes: int) -> None:
        """What is to come altogether, once that is known exactly."""
        self._total = n_bytes

    def tell(self, phase: Phase | None = None, file: str | None = None, note: str = "") -> None:
        """Reports at once."""
        self._phase = self._phase if phase is None else phase
        self._file = self._file if file is None else file
        now_s = self._now_s()
        self._next_s = now_s + REPORT_EVERY_S
        self._marks.append((now_s, self.fetched_bytes))
        while now_s - self._marks[0][0] > RATE_WINDOW_S and len(self._marks) > 2:
            self._marks.popleft()
        then_s, before = self._marks[0]
        seconds = now_s - then_s
        rate = (self.fetched_bytes - before) / seconds if seconds > 0 else 0.0
        left_s = (self._total - self._done) / rate if rate > 0 else None
        self._report(Progress(self._phase, self._file, self._done, self._total, self.fetched_bytes, rate, left_s, note))
