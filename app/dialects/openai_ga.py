"""OpenAI's own service, and Azure's of the same models."""

from __future__ import annotations

from app.dialects.base import Dialect


class OpenAI(Dialect):
    """24 kHz both ways; a session lasts an hour; transcription is another model's work and has to be named."""

    key = "openai"
    name = "OpenAI Realtime"
    default_model = "gpt-realtime"
    transcription_model = "gpt-4o-mini-transcribe"
    voices = ("marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")


class Azure(OpenAI):
    """The key goes in a header of its own. The model is the name of the deployment, which the address may hold."""

    key = "azure"
    name = "Azure OpenAI"
    default_model = ""

    def headers(self) -> dict[str, str]:
        token = {"api-key": self.target.token} if self.target.token else {}
        return {**token, **dict(self.target.headers)}
