"""Progress on a terminal, in a log, or for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

from model_hub.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm


class Teller:
    """A bar on a terminal; a line for each 10 % where there is none; one JSON object a line for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._bar: tqdm[Any] | None = None
        self._told_percent = -10

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def tell(self, progress: Progress) -> None:
        if self._json:
            self._line(progress.to_json())
        elif sys.stderr.isatty():
            self._show(progress)
        elif progress.note or progress.percent >= self._told_percent + 10:
            self._told_percent = progress.percent // 10 * 10
            sys.stderr.write(f"{progress.percent:3} %  {progress.note or progress.file}\n")

    def done(self, path: str, name: str, fetched_bytes: int) -> None:
        if self._json:
            self._line({"event": "done", "path": path, "name": name, "fetched_bytes": fetched_bytes})
        else:
            self.__exit__()
            sys.stdout.write(f"{name} is ready: {path}\n")

    def failed(self, message: str, remedy: str) -> None:
        self._line({"event": "failed", "message": message, "remedy": remedy})

    def _show(self, progress: Progress) -> None:
        from tqdm import tqdm

        if progress.phase == "looking":
            return
        if self._bar is None:
            self._bar = tqdm(total=progress.total_bytes, unit="B", unit_scale=True, dynamic_ncols=True, smoothing=0.05)
            self._bar.initial = progress.done_bytes
        self._bar.total = progress.total_bytes
        self._bar.set_description_str(progress.phase, refresh=False)
        self._bar.set_postfix_str(progress.file, refresh=False)
        self._bar.n = progress.done_bytes
        self._bar.refresh()
        if progress.note:
            self._bar.write(progress.note, file=sys.stderr)

    def _line(self, content: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(content) + "\n")
        sys.stdout.flush()
