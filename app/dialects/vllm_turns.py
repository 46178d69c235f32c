"""vLLM's turn-based `/v1/realtime` with an omni model: one turn of sound in, text and speech out, no conversation.

It knows three client events (`session.update` with `model`, append, commit) and answers in events of its own, without
responses and items: they are made here. What it cannot do is much; each is said once.
"""

from __future__ import annotations

from itertools import count

from app.dialects.abilities import Abilities
from app.dialects.base import Dialect, Json
from app.engine.target import Target


class VllmTurns(Dialect):
    key = "vllm"
    name = "vLLM"
    input_rate_hz = 16_000
    abilities = Abilities(judges=False, tools=False)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._sound: list[Json] = []
        self._typed = False
        self._numbers = count(1)
        self._reply: str | None = None
        """The reply that is being made, as it is called here."""
        self._metadata: Json | None = None
        self._cancelled = False
        self._waiting: list[Json] | None = None
        """The next turn, while an answer that was cancelled is still being made."""

    def session(self, update: Json) -> list[Json]:
        self.note(
            f"This engine ({self.name}) answers each question by itself: it keeps no conversation, "
            "takes no instructions, and sees no pictures."
        )
        return [{"type": "session.update", "model": self.target.model}]

    def sound(self, pcm: bytes) -> list[Json]:
        """Kept until the turn is asked for: what was sent cannot be taken back."""
        self._sound += super().sound(pcm)
        self._typed = False
        return []

    def picture(self, jpeg: str) -> list[Json]:
        return []  # told with the session

    def commit(self) -> list[Json]:
        return []

    def clear(self) -> list[Json]:
        self._sound = []
        return []

    def item(self, create: Json) -> list[Json]:
        self._typed = True
        return []

    def ask(self, create: Json) -> list[Json]:
        if self._typed or not self._sound:
            return self.refuse(create, f"this engine ({self.name}) takes speech only, no typed text.")
        turn = [
            *self._sound,
            {"type": "input_audio_buffer.commit", "final": False},
            {"type": "input_audio_buffer.commit", "final": True},
        ]
        self._sound = []
        self._metadata = (create.get("response") or {}).get("metadata")
        if self._reply is not None:  # it would be ignored
            self._waiting = turn
            return []
        return self._begin(turn)

    def _begin(self, turn: list[Json]) -> list[Json]:
        self._reply = f"reply_{next(self._numbers)}"
        self._cancelled = False
        self._made.append(
            {"type": "input_audio_buffer.committed", "item_id": f"question_{self._reply}"},
        )
        response = {"id": self._reply, "status": "in_progress", "metadata": self._metadata}
        self._made.append({"type": "response.created", "response": response})
        item = {"id": f"item_{self._reply}", "type": "message", "role": "assistant"}
        self._made.append({"type": "response.output_item.added", "response_id": self._reply, "item": item})
        return turn

    def cancel(self, cancel: Json) -> list[Json]:
        """It goes on to its end; nobody listens."""
        if self._waiting is not None:
            self._waiting = None
        elif self._reply is not None and not self._cancelled:
            self._cancelled = True
            self._made.append({"type": "response.done", "response": {"id": self._reply, "status": "cancelled"}})
        return []

    def truncate(self, truncate: Json) -> list[Json]:
        return []

    def other(self, message: Json) -> list[Json]:
        return []

    def hear(self, event: Json) -> list[Json]:
        heard: list[Json] = []
        ids = {"response_id": self._reply, "item_id": f"item_{self._reply}"}
        match event["type"]:
            case "session.created":
                return [{"type": "session.created", "session": {"model": self.target.model}}]
            case "transcription.delta":
                heard = [{**ids, "type": "response.output_audio_transcript.delta", "delta": event.get("delta")}]
            case "response.output_audio.delta":
                rate_hz = event.get("sample_rate_hz")
                self._speech_rate_hz = rate_hz if isinstance(rate_hz, int) and rate_hz > 0 else self._speech_rate_hz
                heard = super().hear({**ids, "type": event["type"], "delta": event.get("audio")})
            case "response.output_audio.done":
                return self._over("completed", "")
            case "error":
                if self._reply is None:
                    return [event]
                why = event.get("error")
                return self._over("failed", why if isinstance(why, str) else "the engine gave no reason")
            case _:
                return []
        return heard if self._reply is not None and not self._cancelled else []

    def _over(self, status: str, why: str) -> list[Json]:
        """The present answer is made; the app has been told already when it was cancelled."""
        reply, self._reply = self._reply, None
        was_told, self._cancelled = self._cancelled, False
        turn, self._waiting = self._waiting, None
        if turn is not None:
            self._later += [(0.0, message) for message in self._begin(turn)]
        if reply is None or was_told:
            return []
        details = {"error": {"message": why}} if why else None
        done = {"id": reply, "status": status, "status_details": details}
        return [{"type": "response.done", "response": done}]
