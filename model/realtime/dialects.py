"""What each kind of peer calls things: one `Dialect` a kind, and how a peer is recognised. Nothing else knows a peer.

Inside the engine there is one vocabulary (`server_events`, `client_events`: the GA protocol's). A dialect says what
goes out under another name or in another shape, and what a peer means where it says too little. Adding one is an object
here and a fixture in `tests/model/realtime/test_dialects.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from model.realtime.client_events import SessionConfig
from model.realtime.codec import UNSET, encode
from model.realtime.server_events import OLDER_NAMES, ServerEvent

_OLDER_NAME_OF: Mapping[str, str] = {newer: older for older, newer in OLDER_NAMES.items()}
_OLDER_PARTS: Mapping[str, str] = {"output_audio": "audio", "output_text": "text"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of peer differs from a GA client."""

    name: str
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Event names that it knows by another name: ours -> theirs."""
    unknown: frozenset[str] = frozenset()
    """Events that it does not know and is not sent."""
    is_flat: bool = False
    """Sessions, responses and parts go out in the older, flat form."""
    input_rate_hz: int = 24_000
    """Of its sound where it does not say: before a `session.update`, and where the format is only called pcm16."""
    answers_commits: bool = False
    """A commit asks for a response, unless it says `response_create: false`."""
    is_one_turn: bool = False
    """What is said before a reply's first word goes on with the turn before: its transcript holds the whole turn."""

    def write(self, event: ServerEvent) -> str | None:
        """One message for the peer, None when it does not know such an event."""
        data = encode(event)
        name = data["type"]
        if name in self.unknown:
            return None
        data["type"] = self.renamed.get(name, name)
        if self.is_flat:
            _flatten(data)
        return json.dumps(data, separators=(",", ":"))


GA = Dialect("ga")
"""OpenAI's general release, and whatever is not recognised as something else."""

SIGHTLINE = Dialect("sightline", input_rate_hz=16_000, is_one_turn=True)

BETA = Dialect(
    "beta", renamed=_OLDER_NAME_OF, unknown=frozenset({"conversation.item.done"}), is_flat=True
)  # fmt: skip
"""Clients of OpenAI's beta."""

DASHSCOPE = Dialect(
    "dashscope",
    renamed=_OLDER_NAME_OF,
    unknown=frozenset({"conversation.item.done"}),
    is_flat=True,
    input_rate_hz=16_000,
)

VLLM_OMNI = Dialect("vllm-omni", input_rate_hz=16_000, answers_commits=True)
"""vLLM-Omni's duplex client: flat sessions in, GA names out; and vLLM's turn-based client."""

DIALECTS = (GA, SIGHTLINE, BETA, DASHSCOPE, VLLM_OMNI)


def of_handshake(headers: Mapping[str, str], query: str) -> Dialect:
    """Who connects, as far as the handshake tells. Names of `headers` in any case."""
    lower = {name.lower(): value for name, value in headers.items()}
    if any(name.startswith("x-dashscope-") for name in lower) or "dashscope" in lower.get("user-agent", "").lower():
        return DASHSCOPE
    if "realtime=v1" in lower.get("openai-beta", ""):
        return BETA
    if parse_qs(query).get("duplex") == ["1"]:
        return VLLM_OMNI
    return GA


def of_session(known: Dialect, session: SessionConfig, model: str | None = None) -> Dialect:
    """Who it is after a `session.update`; whom the handshake has named stays that. `model`: beside the session."""
    if known is not GA:
        return known
    if model is not None:
        return VLLM_OMNI
    audio_in = session.audio.input if session.audio is not None else None
    named = audio_in.format if audio_in is not None else None
    if named is not None and not isinstance(named, str) and named.type == "audio/pcm" and named.sample_rate:
        return SIGHTLINE
    if session.type is not None:
        return GA
    if session.sample_rate_hz is not None or (audio_in is not None and audio_in.sample_rate_hz is not None):
        return VLLM_OMNI
    is_flat = any(
        value is not None
        for value in (
            session.modalities,
            session.voice,
            session.input_audio_format,
            session.output_audio_format,
            session.max_response_output_tokens,
            session.temperature,
        )
    )
    is_flat = is_flat or session.turn_detection is not UNSET or session.input_audio_transcription is not UNSET
    return BETA if is_flat and session.audio is None else GA


def _flatten(data: dict[str, Any]) -> None:
    """GA's objects in the older form, in place."""
    if "session" in data:
        data["session"] = _flat_session(data["session"])
    if "response" in data:
        response = data["response"]
        if "output_modalities" in response:
            response["modalities"] = _both(response.pop("output_modalities"))
        response["output"] = [_flat_item(item) for item in response.get("output", [])]
    if "item" in data:
        data["item"] = _flat_item(data["item"])
    if "part" in data:
        data["part"] = _flat_part(data["part"])


def _flat_session(session: dict[str, Any]) -> dict[str, Any]:
    audio_in, audio_out = session["audio"]["input"], session["audio"]["output"]
    limit = session["max_output_tokens"]
    return {
        "id": session["id"],
        "object": "realtime.session",
        "model": session["model"],
        "modalities": _both(session["output_modalities"]),
        "instructions": session["instructions"],
        "voice": audio_out["voice"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": audio_in["transcription"],
        "turn_detection": audio_in["turn_detection"],
        "tools": session["tools"],
        "tool_choice": session["tool_choice"],
        "temperature": 0.8,
        "max_response_output_tokens": limit,
        "voices": session["voices"],
        "sample_rate": audio_in["format"].get("sample_rate") or audio_in["format"].get("rate"),
    }


def _both(modalities: list[str]) -> list[str]:
    """The older form names text beside audio, which always has its transcript."""
    return ["text", "audio"] if "audio" in modalities else modalities


def _flat_item(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("content") and item.get("role") == "assistant":
        return item | {"content": [_flat_part(part) for part in item["content"]]}
    return item


def _flat_part(part: dict[str, Any]) -> dict[str, Any]:
    return part | {"type": _OLDER_PARTS.get(part["type"], part["type"])}
