"""Switching to another model, and back to the former one by itself when the new one does not load. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.view import Phase, View


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that choose a model."""

    checkpoint: str
    quantize: str

    @property
    def changes(self) -> tuple[tuple[str, object], ...]:
        return (("checkpoint", self.checkpoint), ("quantize", self.quantize))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a switch ended. "back": choose `former` again; `why` is for people."""

    kind: Literal["switched", "back"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch that has been asked for. `has_begun`: the engine with the former model is gone."""

    former: Choice
    wanted: Choice
    has_begun: bool = False

    def observe(self, view: View) -> tuple[Switch | None, Outcome | None]:
        """The switch after one more view, and its outcome once there is one."""
        if not self.has_begun:
            started = view.phase in (Phase.STARTING, Phase.FAILED) or not view.engine.ready
            return (Switch(self.former, self.wanted, True) if started else self), None
        if view.phase is Phase.FAILED:
            of_engine = [problem for problem in view.problems if problem.code.startswith("engine")]
            problems = of_engine or list(view.problems)
            return None, Outcome("back", problems[-1].message if problems else "It does not load.")
        if view.engine.ready and view.phase is not Phase.STARTING:
            return None, Outcome("switched")
        return self, None
