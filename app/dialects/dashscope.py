"""DashScope's realtime service of Qwen's hosted omni models (international and mainland).

Sound is 16 kHz in and 24 kHz out; a picture is refused before the first sound of a turn; there are no text items, so
what is typed, and the conversation that a new session begins with, go into instructions.
"""

from __future__ import annotations

from typing import Any

from app.dialects.base import SPEECH_RATE_HZ, Json, item_text
from app.dialects.older import Older
from app.engine.target import Target

NESTED = "qwen3.8-omni-"
"""Models whose sessions hold sound's formats and the voice as GA does; the older ones' are flat."""
NESTED_TRANSCRIPTION = "qwen3-asr-flash-realtime"

SO_FAR = "This conversation began earlier. What was said so far:"


class DashScope(Older):
    key = "dashscope"
    name = "DashScope"
    input_rate_hz = 16_000
    default_model = "qwen3.5-omni-flash-realtime"
    transcription_model = "gummy-realtime-v1"
    voices = ("Cherry", "Ethan", "Chelsie", "Serena")

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._pictures: list[str] = []
        self._heard = False
        """There is sound in the turn that is being said."""
        self._typed = ""
        self._history: list[str] = []
        self._update: Json = {}
        self._stale = False
        """The history has grown since the server was told."""

    def session(self, update: Json) -> list[Json]:
        self._update = update
        return super().session(update)

    def flat(self, session: Json) -> Json:
        flat = super().flat(session)
        if self._history:
            flat["instructions"] = "\n\n".join(filter(None, (flat.get("instructions"), SO_FAR, *self._history)))
        self._stale = False
        return flat if not self._model().startswith(NESTED) else self._nested(flat)

    def _model(self) -> str:
        return self.target.model or self.default_model

    def _nested(self, flat: Json) -> Json:
        for name in ("input_audio_format", "output_audio_format"):
            del flat[name]
        audio: Json = {
            "input": {"format": {"type": "pcm", "sample_rate": self.input_rate_hz}},
            "output": {"format": {"type": "pcm", "sample_rate": SPEECH_RATE_HZ}},
        }
        if "voice" in flat:
            audio["output"]["voice"] = flat.pop("voice")
        if flat.get("input_audio_transcription"):
            flat["input_audio_transcription"] = {"model": NESTED_TRANSCRIPTION}
        return {**flat, "audio": audio}

    def sound(self, pcm: bytes) -> list[Json]:
        self._heard = self._heard or bool(pcm)
        pictures, self._pictures = (self._pictures, []) if self._heard else ([], self._pictures)
        return [*self._remember(), *super().sound(pcm), *(_picture(jpeg) for jpeg in pictures)]

    def picture(self, jpeg: str) -> list[Json]:
        if self._heard:
            return [_picture(jpeg)]
        self._pictures = [jpeg]  # the newest is the one that the sound belongs to
        return []

    def commit(self) -> list[Json]:
        self._heard = False
        return super().commit()

    def clear(self) -> list[Json]:
        self._heard = False
        self._pictures = []
        return super().clear()

    def item(self, create: Json) -> list[Json]:
        item = create["item"]
        text = item_text(item)
        if item.get("type") != "message" or not text:
            return []
        if item.get("role") == "assistant":
            self._tell(f"User: {self._typed}" if self._typed else "", f"Assistant: {text}")
            self._typed = ""
        else:
            self._typed = "\n".join(filter(None, (self._typed, text)))
        if any(part.get("type") == "input_image" for part in item["content"]):
            self.cannot("takes pictures with speech only; what you typed was sent without one")
        return []

    def _tell(self, *lines: str) -> None:
        self._history = [*self._history, *filter(None, lines)][-80:]
        self._stale = True

    def _remember(self) -> list[Json]:
        return self.session(self._update) if self._stale and self._update else []

    def ask(self, create: Json) -> list[Json]:
        response: dict[str, Any] = {}
        remembered = self._remember()
        if self._typed:
            response["instructions"] = "\n\n".join(filter(None, (self._instructions, self._typed)))
            self._history.append(f"User: {self._typed}")
            self._typed = ""
        return [*remembered, {**create, "response": response}]

    def cancel(self, cancel: Json) -> list[Json]:
        return [{"type": "response.cancel"}]

    def truncate(self, truncate: Json) -> list[Json]:
        return self.cannot("remembers its answers whole, also what you did not hear because you interrupted")

    def closing(self) -> list[Json]:
        return [{"type": "session.finish"}]


def _picture(jpeg: str) -> Json:
    return {"type": "input_image_buffer.append", "image": jpeg}
