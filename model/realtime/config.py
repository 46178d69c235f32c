"""A session's effective configuration, and how `session.update` changes it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from model.prompts import DEFAULT_INSTRUCTIONS
from model.realtime.client_events import (
    AudioFormat,
    AudioInput,
    AudioOutput,
    Modalities,
    ResponseConfig,
    SessionConfig,
    Transcription,
    TurnDetection,
    VoiceName,
    WireError,
)
from model.realtime.codec import UNSET, Unset, encode

INPUT_RATES_HZ = (16_000, 24_000)
SPEECH_RATE_HZ = 24_000
MAX_INSTRUCTIONS_CHARS = 32_768
MAX_OUTPUT_TOKENS = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Server-side turn detection, with GA's defaults."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class Abilities:
    """What this engine can do, for checking a configuration against."""

    model: str
    voices: tuple[str, ...]
    has_voice_detector: bool


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

    @property
    def modalities(self) -> Modalities:
        return ("audio",) if self.speech else ("text",)


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """What `response.create` asked for, the session's configuration filled in."""

    speech: bool
    max_tokens: int | None
    instructions: str | None = None
    metadata: dict[str, str] | None = None


def initial(abilities: Abilities) -> LiveConfig:
    """GA's defaults: turns are detected by the engine, when it has a detector; no transcription."""
    detection = VoiceActivity() if abilities.has_voice_detector else None
    speaks = bool(abilities.voices)
    return LiveConfig(abilities.voices[0] if speaks else "", speech=speaks, turn_detection=detection)


def merge(current: LiveConfig, update: SessionConfig, abilities: Abilities) -> LiveConfig:
    """`current` with what `update` gives; raises `WireError` and changes nothing when any of it cannot be done."""
    if update.type not in (None, "realtime"):
        raise _bad("session.type", f"expected 'realtime', got {update.type!r}")
    if update.tools:
        raise _bad("session.tools", "this engine calls no tools; send an empty list")
    audio_in, audio_out = _audio(update)
    changes: dict[str, Any] = {}
    if update.instructions is not None:
        changes["instructions"] = _instructions(update.instructions, "session.instructions")
    modalities = first(update.output_modalities, update.modalities)
    if modalities is not None:
        changes["speech"] = wants_speech(modalities, "session.output_modalities", bool(abilities.voices))
    limit = update.max_output_tokens if update.max_output_tokens is not None else update.max_response_output_tokens
    if limit is not None:
        changes["max_output_tokens"] = token_limit(limit, "session.max_output_tokens")
    if audio_in.format is not None:
        changes["input_rate_hz"] = _input_rate(audio_in.format)
    if not isinstance(audio_in.transcription, Unset):
        changes["transcription"] = audio_in.transcription
    if not isinstance(audio_in.turn_detection, Unset):
        changes["turn_detection"] = _voice_activity(audio_in.turn_detection, abilities)
    if audio_out.format is not None:
        _check_output(audio_out.format)
    if audio_out.voice is not None:
        changes["voice"] = _voice(audio_out.voice, abilities)
    if audio_out.speed not in (None, 1.0):
        raise _bad("session.audio.output.speed", "this engine speaks at speed 1.0; change the speed where it is played")
    return replace(current, **changes)


def response_request(asked: ResponseConfig, config: LiveConfig) -> ReplyRequest:
    """`response.create`'s object over the session's configuration; raises `WireError` for what cannot be done."""
    if asked.conversation not in (None, "auto"):
        raise _bad("response.conversation", f"only 'auto' is served, got {asked.conversation[:40]!r}")
    if asked.input:
        raise _bad("response.input", "replies are made from the conversation; create items in it instead")
    if asked.tools:
        raise _bad("response.tools", "this engine calls no tools")
    modalities = asked.output_modalities if asked.output_modalities is not None else asked.modalities
    speech = config.speech
    if modalities is not None:
        speech = wants_speech(modalities, "response.output_modalities", bool(config.voice))
    limit = config.max_output_tokens
    if asked.max_output_tokens is not None:
        limit = token_limit(asked.max_output_tokens, "response.max_output_tokens")
    instructions = None
    if asked.instructions is not None:
        instructions = _instructions(asked.instructions, "response.instructions")
    return ReplyRequest(speech, limit, instructions, asked.metadata)


def to_wire(config: LiveConfig, session_id: str, abilities: Abilities) -> dict[str, Any]:
    """The `session` object of session.created and session.updated.

    GA's type allows no `rate` but 24000, so a rate of 16000 is given as `sample_rate` and `rate` is left out. `voices`
    (those that this model has) is Sightline's own.
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
        "instructions": config.instructions,
        "output_modalities": list(config.modalities),
        "max_output_tokens": "inf" if config.max_output_tokens is None else config.max_output_tokens,
        "tools": [],
        "tool_choice": "none",
        "audio": {
            "input": {
                "format": input_format,
                "transcription": None if config.transcription is None else encode(config.transcription),
                "turn_detection": None if detection is None else {"type": "server_vad"} | encode(detection),
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": SPEECH_RATE_HZ},
                "voice": config.voice or None,
                "speed": 1.0,
            },
        },
    }


def wants_speech(modalities: Modalities, param: str, can_speak: bool) -> bool:
    """GA says audio or text; the older form says both, which is speech with its transcript."""
    if not modalities:
        raise _bad(param, "expected ['audio'] or ['text'], got an empty array")
    if "audio" in modalities and not can_speak:
        raise _bad(param, "this model has no voice; use ['text']")
    return "audio" in modalities


def token_limit(limit: int | Literal["inf"], param: str) -> int | None:
    if limit == "inf":
        return None
    if not 1 <= limit <= MAX_OUTPUT_TOKENS:
        raise _bad(param, f"expected 1 to {MAX_OUTPUT_TOKENS} or 'inf', got {limit}")
    return limit


def first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _audio(update: SessionConfig) -> tuple[AudioInput, AudioOutput]:
    """The GA form of the audio fields; flat fields fill what it leaves open."""
    audio_in = (update.audio and update.audio.input) or AudioInput()
    audio_out = (update.audio and update.audio.output) or AudioOutput()
    if audio_in.format is None and update.input_audio_format is not None:
        audio_in = replace(audio_in, format=_flat_format(update.input_audio_format, 24_000, "input"))
    if audio_in.transcription is UNSET:
        audio_in = replace(audio_in, transcription=update.input_audio_transcription)
    if audio_in.turn_detection is UNSET:
        audio_in = replace(audio_in, turn_detection=update.turn_detection)
    if audio_out.format is None and update.output_audio_format is not None:
        audio_out = replace(audio_out, format=_flat_format(update.output_audio_format, SPEECH_RATE_HZ, "output"))
    if audio_out.voice is None:
        audio_out = replace(audio_out, voice=update.voice)
    return audio_in, audio_out


def _flat_format(name: str, rate_hz: int, side: str) -> AudioFormat:
    """`pcm16` is OpenAI's beta name (24 kHz); `pcm`, `pcm24` and `pcm16` with a rate are other engines'."""
    if name not in ("pcm16", "pcm", "pcm24"):
        raise _bad(f"session.{side}_audio_format", f"expected 'pcm16', got {name[:40]!r}")
    return AudioFormat(rate=rate_hz)


def _instructions(text: str, param: str) -> str:
    if len(text) > MAX_INSTRUCTIONS_CHARS:
        raise _bad(param, f"{len(text)} characters; at most {MAX_INSTRUCTIONS_CHARS}")
    return text


def _input_rate(audio: AudioFormat) -> int:
    if audio.type not in ("audio/pcm", "pcm16"):
        raise _bad("session.audio.input.format.type", f"expected 'audio/pcm' (16 bits), got {audio.type[:40]!r}")
    rate_hz = first(audio.sample_rate, audio.rate) or SPEECH_RATE_HZ
    if rate_hz not in INPUT_RATES_HZ:
        raise _bad("session.audio.input.format.rate", f"expected 16000 or 24000, got {rate_hz}")
    return rate_hz


def _check_output(audio: AudioFormat) -> None:
    if audio.type not in ("audio/pcm", "pcm16"):
        raise _bad("session.audio.output.format.type", f"expected 'audio/pcm' (16 bits), got {audio.type[:40]!r}")
    if audio.rate not in (None, SPEECH_RATE_HZ):
        raise _bad("session.audio.output.format.rate", f"expected {SPEECH_RATE_HZ}, got {audio.rate}")


def _voice(voice: str | VoiceName, abilities: Abilities) -> str:
    name = (voice.id if isinstance(voice, VoiceName) else voice).lower()
    for known in abilities.voices:
        if known.lower() == name:
            return known
    raise _bad("session.audio.output.voice", f"no voice {name[:40]!r}; this model has {', '.join(abilities.voices)}")


def _voice_activity(detection: TurnDetection | None, abilities: Abilities) -> VoiceActivity | None:
    param = "session.audio.input.turn_detection"
    if detection is None:
        return None
    if detection.type not in ("server_vad", "semantic_vad"):
        raise _bad(f"{param}.type", f"expected 'server_vad' or null, got {detection.type[:40]!r}")
    if detection.type == "semantic_vad":
        raise _bad(f"{param}.type", "this engine has no semantic turn detection; use 'server_vad' or null")
    if not abilities.has_voice_detector:
        raise _bad(f"{param}.type", "this engine was started without a voice detector; use null and commit turns")
    given = {name: value for name, value in encode(detection).items() if name != "type"}
    result = replace(VoiceActivity(), **given)
    if not 0.0 <= result.threshold <= 1.0:
        raise _bad(f"{param}.threshold", f"expected 0 to 1, got {result.threshold}")
    if not 0 <= result.prefix_padding_ms <= 5_000:
        raise _bad(f"{param}.prefix_padding_ms", f"expected 0 to 5000, got {result.prefix_padding_ms}")
    if not 100 <= result.silence_duration_ms <= 10_000:
        raise _bad(f"{param}.silence_duration_ms", f"expected 100 to 10000, got {result.silence_duration_ms}")
    return result


def _bad(param: str, message: str) -> WireError:
    return WireError("invalid_value", f"{param}: {message}.", param)
