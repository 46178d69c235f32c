"""vLLM-Omni's duplex endpoint (`/v1/realtime?duplex=1`): GA's events, with pictures inside the sound's messages."""

from __future__ import annotations

from app.dialects.base import Dialect, Json
from app.engine.target import Target, with_query

MAX_FRAMES = 2
"""Pictures in one message of sound."""


class VllmDuplex(Dialect):
    key = "vllm-duplex"
    name = "vLLM-Omni"
    input_rate_hz = 16_000
    hears_turns = False

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._frames: list[str] = []

    def address(self) -> str:
        return with_query(super().address(), (("duplex", "1"),))

    def opening(self) -> list[Json]:
        """The session begins with the first message, unless the address names the model."""
        return [] if self.target.model else [{"type": "session.update", "session": {}}]

    def session(self, update: Json) -> list[Json]:
        (update,) = super().session(update)
        into = update["session"]["audio"]["input"]
        into["sample_rate_hz"] = self.input_rate_hz
        if self.target.model:
            update["session"]["model"] = self.target.model
        return [update]

    def sound(self, pcm: bytes) -> list[Json]:
        appends = super().sound(pcm)
        if appends and self._frames:
            appends[0]["video_frames"] = self._frames
            self._frames = []
        return appends

    def picture(self, jpeg: str) -> list[Json]:
        self._frames = [*self._frames, jpeg][-MAX_FRAMES:]
        return []

    def commit(self) -> list[Json]:
        return [{"type": "input_audio_buffer.commit", "final": True, "response_create": False}]

    def clear(self) -> list[Json]:
        self._frames = []
        return super().clear()

    def closing(self) -> list[Json]:
        return [{"type": "session.close"}]
