"""Sightline's own engine: 16 kHz, pictures among the sound, replies that can be taken back."""

from __future__ import annotations

from dataclasses import replace

from app.dialects.abilities import Abilities
from app.dialects.base import Dialect, Json


class Sightline(Dialect):
    key = "sightline"
    name = "Sightline's engine"
    input_rate_hz = 16_000
    abilities = Abilities(takes_back=True, says=True)

    def abilities_of(self, session: Json) -> Abilities:
        """The engine says what its model knows; one that does not say so is older than the question."""
        return replace(
            self.abilities,
            tools=session.get("knows_tools") is True,
            read_text=session.get("knows_read_text") is True,
        )

    def session(self, update: Json) -> list[Json]:
        return [update]

    def picture(self, jpeg: str) -> list[Json]:
        return [{"type": "input_image_buffer.append", "image": jpeg}]
