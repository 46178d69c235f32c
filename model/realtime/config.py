"""A session's effective configuration, and how `session.update` changes it.

Reading is generous: a value that this engine cannot follow (another's voice, a speed, a threshold out of range) leaves
ours in force, and `session.updated` says what is in force. An error is only what the client must act on: a format of
sound that would be misheard, turns that nobody would find, instructions that do not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from model.prompts import DEFAULT_INSTRUCTIONS
from model.realtime.client_events import (
    AudioFormat,
    AudioInput,
    AudioOutput,
    Item,
    Modalities,
    ResponseConfig,
    SessionConfig,
    Tool,
    ToolChoice,
    Transcription,
    TurnDetection,
    VoiceName,
    WireError,
)
from model.realtime.codec import UNSET, Unset, encode
from model.realtime.dialects import GA, Dialect

INPUT_RATES_HZ = (8_000, 16_000, 24_000, 48_000)
SPEECH_RATE_HZ = 24_000
MAX_INSTRUCTIONS_CHARS = 32_768
MAX_OUTPUT_TOKENS = 4096
MAX_TOOLS = 128
PCM_NAMES = ("audio/pcm", "audio/pcm16", "pcm", "pcm16", "pcm24", "pcm_s16le", "s16le")
"""Names of 16-bit little-endian samples."""

SILENCE_MS_OF_EAGERNESS = {"low": 1200, "medium": 700, "auto": 700, "high": 400}
"""`semantic_vad` asks for patience by name; this engine ends a turn by silence, so the name becomes a silence."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Server-side turn detection, with GA's defaults. `eagerness`: it was asked for as `semantic_vad`."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    create_response: bool = True
    interrupt_response: bool = True
    eagerness: str | None = None

    def wire(self) -> dict[str, Any]:
        """As the session object shows it."""
        common = {"create_response": self.create_response, "interrupt_response": self.interrupt_response}
        if self.eagerness is not None:
            return {"type": "semantic_vad", "eagerness": self.eagerness, **common}
        return {
            "type": "server_vad",
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
            **common,
        }


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this engine can do, for checking a configuration against."""

    model: str
    voices: tuple[str, ...]
    has_voice_detector: bool
    knows_tools: bool = True
    knows_read_text: bool = True


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """The configuration in force. `max_output_tokens` None: no limit but the model's own."""

    voice: str
    instructions: str = DEFAULT_INSTRUCTIONS
    speech: bool = True
    input_rate_hz: int = SPEECH_RATE_HZ
    turn_detection: VoiceActivity | None = None
    transcription: Transcription | None = None
    max_output_tokens: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"

    @property
    def modalities(self) -> Modalities:
        return ("audio",) if self.speech else ("text",)


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What `response.create` (or `sightline.say`) asked for, the session's configuration filled in."""

    speech: bool
    max_tokens: int | None
    instructions: str | None = None
    metadata: dict[str, str] | None = None
    tools: tuple[Tool, ...] | None = None
    """Other tools than the session's."""
    tool_choice: ToolChoice = "auto"
    in_conversation: bool = True
    input: tuple[Item, ...] | None = None
    """What an out-of-band response answers, instead of the conversation."""
    said: str | None = None
    """The text to speak; nothing is made up."""


def initial(abilities: Abilities, dialect: Dialect = GA) -> LiveConfig:
    """GA's defaults: turns are detected by the engine, when it has a detector; no transcription."""
    detection = VoiceActivity() if abilities.has_voice_detector else None
    speaks = bool(abilities.voices)
    return LiveConfig(
        abilities.voices[0] if speaks else "",
        speech=speaks,
        turn_detection=detection,
        input_rate_hz=dialect.input_rate_hz,
    )


def merge(current: LiveConfig, update: SessionConfig, abilities: Abilities, dialect: Dialect = GA) -> LiveConfig:
    """`current` with what of `update` can be done; raises `WireError`, changing nothing, where the client must act."""
    if update.type not in (None, "realtime"):
        raise _bad(
            "session.type", f"expected 'realtime', got {update.type[:40]!r}; this engine only holds conversations"
        )
    audio_in, audio_out = _audio(update)
    changes: dict[str, Any] = {}
    if update.instructions is not None:
        changes["instructions"] = _instructions(update.instructions, "session.instructions")
    modalities = first(update.output_modalities, update.modalities)
    if modalities:
        changes["speech"] = "audio" in modalities and bool(abilities.voices)
    limit = update.max_output_tokens if update.max_output_tokens is not None else update.max_response_output_tokens
    if limit is not None:
        changes["max_output_tokens"] = token_limit(limit, current.max_output_tokens)
    rate_hz = _input_rate(audio_in, update, dialect)
    if rate_hz is not None:
        changes["input_rate_hz"] = rate_hz
    if not isinstance(audio_in.transcription, Unset):
        changes["transcription"] = audio_in.transcription
    if not isinstance(audio_in.turn_detection, Unset):
        changes["turn_detection"] = _voice_activity(audio_in.turn_detection, current.turn_detection, abilities)
    if audio_out.format is not None:
        _check_output(audio_out.format)
    if audio_out.voice is not None:
        changes["voice"] = _voice(audio_out.voice, abilities) or current.voice
    if update.tools is not None:
        changes["tools"] = read_tools(update.tools, "session.tools", abilities)
    if update.tool_choice is not None:
        changes["tool_choice"] = update.tool_choice
    return replace(current, **changes)


def response_request(asked: ResponseConfig, config: LiveConfig, abilities: Abilities) -> ReplyRequest:
    """`response.create`'s object over the session's configuration; raises `WireError` for what cannot be done."""
    modalities = first(asked.output_modalities, asked.modalities)
    speech = config.speech
    if modalities:
        speech = "audio" in modalities and bool(config.voice)
    limit = config.max_output_tokens
    if asked.max_output_tokens is not None:
        limit = token_limit(asked.max_output_tokens, limit)
    instructions = None
    if asked.instructions is not None:
        instructions = _instructions(asked.instructions, "response.instructions")
    in_conversation = asked.conversation != "none"
    if asked.input is not None and in_conversation:
        raise _bad("response.input", "only a response with conversation 'none' has an input of its own")
    tools = None if asked.tools is None else read_tools(asked.tools, "response.tools", abilities)
    return ReplyRequest(
        speech,
        limit,
        instructions,
        asked.metadata,
        tools=None if tools == config.tools else tools,
        tool_choice=config.tool_choice if asked.tool_choice is None else asked.tool_choice,
        in_conversation=in_conversation,
        input=asked.input,
    )


def to_wire(config: LiveConfig, session_id: str, abilities: Abilities) -> dict[str, Any]:
    """The `session` object of session.created and session.updated.

    GA's type allows no `rate` but 24000, so another rate is given as `sample_rate` and `rate` is left out. `voices`
    (those that this model has), `knows_tools` and `knows_read_text` are Sightline's own.
    """
    detection = config.turn_detection
    input_format: dict[str, Any] = {"type": "audio/pcm"}
    input_format |= {"rate": 24_000} if config.input_rate_hz == 24_000 else {"sample_rate": config.input_rate_hz}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": abilities.model,
        "voices": list(abilities.voices),
        "knows_tools": abilities.knows_tools,
        "knows_read_text": abilities.knows_read_text,
        "instructions": config.instructions,
        "output_modalities": list(config.modalities),
        "max_output_tokens": "inf" if config.max_output_tokens is None else config.max_output_tokens,
        "tools": [encode(tool) for tool in config.tools],
        "tool_choice": encode(config.tool_choice),
        "audio": {
            "input": {
                "format": input_format,
                "transcription": None if config.transcription is None else encode(config.transcription),
                "turn_detection": None if detection is None else detection.wire(),
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": SPEECH_RATE_HZ},
                "voice": config.voice or None,
                "speed": 1.0,
            },
        },
    }


def token_limit(limit: int | Literal["inf"], current: int | None) -> int | None:
    """None: as many as the model likes. A limit that is none leaves the current one."""
    if limit == "inf":
        return None
    return min(limit, MAX_OUTPUT_TOKENS) if limit >= 1 else current


def read_tools(tools: tuple[Tool, ...], param: str, abilities: Abilities) -> tuple[Tool, ...]:
    """Function tools in one form; others (`mcp`, ...) cannot be carried out here and are left out.

    All of them are left out where the model was trained without tools: a list of them spoils each of its answers.
    """
    if len(tools) > MAX_TOOLS:
        raise _bad(param, f"at most {MAX_TOOLS} tools, got {len(tools)}")
    read = (_plain_tool(tool) for tool in tools)
    return tuple(tool for tool in read if tool is not None) if abilities.knows_tools else ()


def _plain_tool(tool: Tool) -> Tool | None:
    if tool.type != "function":
        return None
    inner = tool.function or {}
    name, description, parameters = (inner.get(key) for key in ("name", "description", "parameters"))
    name = tool.name or (name if isinstance(name, str) else "")
    description = tool.description or (description if isinstance(description, str) else None)
    parameters = tool.parameters or (parameters if isinstance(parameters, dict) else None)
    return Tool("function", name, description, parameters) if name else None


def first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _audio(update: SessionConfig) -> tuple[AudioInput, AudioOutput]:
    """The GA form of the audio fields; flat fields fill what it leaves open."""
    audio_in = (update.audio and update.audio.input) or AudioInput()
    audio_out = (update.audio and update.audio.output) or AudioOutput()
    if audio_in.format is None:
        audio_in = replace(audio_in, format=update.input_audio_format)
    if audio_in.transcription is UNSET:
        audio_in = replace(audio_in, transcription=update.input_audio_transcription)
    if audio_in.turn_detection is UNSET:
        audio_in = replace(audio_in, turn_detection=update.turn_detection)
    if audio_out.format is None:
        audio_out = replace(audio_out, format=update.output_audio_format)
    if audio_out.voice is None:
        audio_out = replace(audio_out, voice=update.voice)
    return audio_in, audio_out


def _instructions(text: str, param: str) -> str:
    if len(text) > MAX_INSTRUCTIONS_CHARS:
        raise _bad(param, f"{len(text)} characters; at most {MAX_INSTRUCTIONS_CHARS}")
    return text


def _input_rate(audio_in: AudioInput, update: SessionConfig, dialect: Dialect) -> int | None:
    """The rate of the sound to come; None when nothing is said of it."""
    given = audio_in.format
    named = AudioFormat(given) if isinstance(given, str) else given
    if named is not None and named.type.lower() not in PCM_NAMES:
        raise _bad("session.audio.input.format.type", f"expected 'audio/pcm' (16 bits), got {named.type[:40]!r}")
    given_format = AudioFormat() if named is None else named
    rates = (
        *(given_format.sample_rate, given_format.sample_rate_hz, given_format.rate),
        *(audio_in.sample_rate_hz, update.sample_rate_hz, update.sample_rate),
    )
    rate_hz = next((rate for rate in rates if rate is not None), None)
    if rate_hz is None:
        return None if named is None else dialect.input_rate_hz
    if rate_hz not in INPUT_RATES_HZ:
        known = ", ".join(map(str, INPUT_RATES_HZ))
        raise _bad("session.audio.input.format.rate", f"expected one of {known}, got {rate_hz}")
    return rate_hz


def _check_output(audio: AudioFormat | str) -> None:
    """Another rate than ours is a wish: `session.updated` says what comes."""
    name = audio if isinstance(audio, str) else audio.type
    if name.lower() not in PCM_NAMES:
        raise _bad("session.audio.output.format.type", f"expected 'audio/pcm' (16 bits), got {name[:40]!r}")


def _voice(voice: str | VoiceName, abilities: Abilities) -> str | None:
    """A voice that this model has; None for others' voices."""
    name = (voice.id if isinstance(voice, VoiceName) else voice).lower()
    return next((known for known in abilities.voices if known.lower() == name), None)


def _voice_activity(
    detection: TurnDetection | None, current: VoiceActivity | None, abilities: Abilities
) -> VoiceActivity | None:
    if detection is None or detection.type in ("none", "null"):
        return None
    if not abilities.has_voice_detector:
        raise _bad(
            "session.audio.input.turn_detection.type",
            "this engine was started without a voice detector; use null and commit turns",
        )
    switches = {
        name: value
        for name in ("create_response", "interrupt_response")
        if (value := getattr(detection, name)) is not None
    }
    if detection.type == "semantic_vad":
        eagerness = detection.eagerness or "auto"
        silence_ms = SILENCE_MS_OF_EAGERNESS[eagerness]
        return replace(VoiceActivity(), silence_duration_ms=silence_ms, eagerness=eagerness, **switches)
    before = current if current is not None and current.eagerness is None else VoiceActivity()
    threshold = _within(detection.threshold, 0.0, 1.0, before.threshold)
    return replace(
        VoiceActivity(),
        threshold=threshold,
        prefix_padding_ms=round(_within(detection.prefix_padding_ms, 0, 5_000, before.prefix_padding_ms)),
        silence_duration_ms=round(_within(detection.silence_duration_ms, 100, 10_000, before.silence_duration_ms)),
        **switches,
    )


def _within(value: float | None, least: float, most: float, otherwise: float) -> float:
    """A value out of its range (DashScope allows thresholds from -1) is taken to the nearest end."""
    return otherwise if value is None else min(max(value, least), most)


def _bad(param: str, message: str) -> WireError:
    return WireError("invalid_value", f"{param}: {message}.", param)
