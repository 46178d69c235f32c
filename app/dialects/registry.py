"""Which dialect a server is spoken to in: by choice, by its address, by the first thing that it says."""

from __future__ import annotations

from urllib.parse import urlsplit

from app.dialects.base import Dialect, Json, found
from app.dialects.dashscope import DashScope
from app.dialects.older import Older
from app.dialects.openai_ga import Azure, OpenAI
from app.dialects.self_turning import LlamaCpp, SpeechToSpeech
from app.dialects.sglang_omni import SglangOmni
from app.dialects.sightline import Sightline
from app.dialects.vllm_duplex import VllmDuplex
from app.dialects.vllm_turns import VllmTurns
from app.engine.target import Target

DIALECTS: dict[str, type[Dialect]] = {
    dialect.key: dialect
    for dialect in (
        Dialect,
        Sightline,
        OpenAI,
        Azure,
        DashScope,
        VllmDuplex,
        VllmTurns,
        SpeechToSpeech,
        SglangOmni,
        LlamaCpp,
        Older,
    )
}
KINDS = ("auto", *DIALECTS)


def dialect_of(target: Target) -> Dialect:
    """By choice or address. Where neither says it, GA, until the server has said something."""
    if target.kind in DIALECTS:
        return DIALECTS[target.kind](target)
    parts = urlsplit(target.url)
    host = (parts.hostname or "").lower()
    if (host.startswith("dashscope") and host.endswith(".aliyuncs.com")) or host.endswith(".maas.aliyuncs.com"):
        return DashScope(target)
    if host.endswith((".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")):
        return Azure(target)
    if host == "api.openai.com" or host.endswith(".api.openai.com"):
        return OpenAI(target)
    if "duplex=1" in parts.query.split("&"):
        return VllmDuplex(target)
    return Dialect(target)


def recognised(dialect: Dialect, event: Json) -> Dialect:
    """The dialect to go on in after the server's first event; the same one when it was chosen or already known."""
    if dialect.target.kind != "auto" or type(dialect) is not Dialect or event["type"] != "session.created":
        return dialect
    session = event.get("session")
    if not isinstance(session, dict):
        is_vllm = isinstance(event.get("id"), str) and "created" in event
        return VllmTurns(dialect.target) if is_vllm else dialect
    session = {name: value for name, value in session.items() if value is not None}  # many write what they lack as null
    if isinstance(session.get("voices"), list):
        return Sightline(dialect.target)
    if "sglang" in session:
        return SglangOmni(dialect.target)
    if found(session, "audio", "input", "sample_rate_hz") is not None or "resume_token" in event:
        return VllmDuplex(dialect.target)
    if "audio" not in session and ("modalities" in session or "input_audio_format" in session):
        return Older(dialect.target)
    if "model" not in session and "object" not in session and isinstance(session.get("audio"), dict):
        return SpeechToSpeech(dialect.target)
    return dialect
