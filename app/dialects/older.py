"""Servers that kept the form of OpenAI's beta: the session's fields flat, the older names of events."""

from __future__ import annotations

from typing import Any

from app.dialects.base import Dialect, Json, found


class Older(Dialect):
    """Any server of the beta's form. Sound is 24 kHz there unless a subclass says otherwise."""

    key = "older"
    name = "a Realtime server of the older form"

    def session(self, update: Json) -> list[Json]:
        return [{**update, "session": self.flat(update["session"])}]

    def flat(self, session: Json) -> Json:
        speaks = "audio" in session.get("output_modalities", ["audio"])
        transcription = found(session, "audio", "input", "transcription")
        fields: dict[str, Any] = {
            "modalities": ["text", "audio"] if speaks else ["text"],
            "instructions": session.get("instructions"),
            "voice": found(session, "audio", "output", "voice"),
            "tools": session.get("tools"),
            "tool_choice": session.get("tool_choice"),
        }
        flat: Json = {name: value for name, value in fields.items() if value is not None}
        return {
            **flat,
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": transcription,
            "turn_detection": found(session, "audio", "input", "turn_detection"),
        }

    def ask(self, create: Json) -> list[Json]:
        response = create.get("response") or {}
        fields: Json = {name: response[name] for name in ("instructions", "metadata") if name in response}
        if "output_modalities" in response:
            fields["modalities"] = ["text", "audio"] if "audio" in response["output_modalities"] else ["text"]
        if "max_output_tokens" in response:
            fields["max_output_tokens"] = response["max_output_tokens"]
        return [{**create, "response": fields}]
