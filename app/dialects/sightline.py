"""Sightline's own engine: 16 kHz, pictures among the sound, replies that can be taken back."""

from __future__ import annotations

from dataclasses import replace

from app.dialects.abilities import Abilities
from app.dialects.base import Dialect, Json

WITHOUT_TOOLS = frozenset({"flash-mini"})
"""Models that were trained without tools: a list of them in the prompt is noise that spoils every answer (tried)."""


class Sightline(Dialect):
    key = "sightline"
    name = "Sightline's engine"
    input_rate_hz = 16_000
    abilities = Abilities(takes_back=True, says=True)

    def abilities_of(self, session: Json) -> Abilities:
        """Engines before tools refuse them; those that have them list them. The model has to know them, too."""
        model = str(session.get("model", ""))
        return replace(self.abilities, tools="tools" in session and model.rsplit("/", 1)[-1] not in WITHOUT_TOOLS)

    def session(self, update: Json) -> list[Json]:
        return [update]

    def picture(self, jpeg: str) -> list[Json]:
        return [{"type": "input_image_buffer.append", "image": jpeg}]
