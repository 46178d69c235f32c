"""Progress for screen readers: what is being done is said when it begins, and every quarter of it; each once."""

from __future__ import annotations

import re

from app.view import Phase, View

STEP_PERCENT = 25


class ProgressWords:
    """Owned by the Qt thread."""

    def __init__(self) -> None:
        self._doing = ""
        self._step = 0

    def words(self, view: View) -> str:
        """What is to be said about this view; "" for nothing."""
        detail = view.engine.detail if view.phase is Phase.STARTING and not view.engine.ready else ""
        percent = re.search(r"(\d+)\s*%", detail)
        doing = re.sub(r"[\d.,%]+", "", detail).strip()
        step = min(100, int(percent.group(1))) // STEP_PERCENT if percent is not None else 0
        begun, further = doing != self._doing, step > self._step
        if begun:
            self._doing, self._step = doing, step
        elif further:
            self._step = step
        if not doing or not (begun or further):
            return ""
        return f"{detail[0].upper()}{detail[1:]}."
