"""What a client says: the GA client events of OpenAI's Realtime protocol, what others added, and `sightline.say`.

The dataclasses are the wire. `parse_client_event` reads one message and is generous: optional fields that it cannot
read are as if they had not been sent. What it cannot read at all is a `WireError`, which becomes an `error` event.
Older clients (beta, DashScope) send flat session fields; `SessionConfig` declares both forms.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NoReturn, TypeAlias

from model.realtime.codec import UNSET, FieldError, Unset, decode, encode

log = logging.getLogger(__name__)

KEEP_NONE = {"keep_none": True}
STRICT = {"strict": True}
"""A field that may be missing, but not be of another type."""

MAX_MESSAGE_BYTES = 15 * 2**20
"""Longest message that is read; OpenAI's limit on one piece of audio. A longer one gets an `error` event."""


class WireError(ValueError):
    """A message or request that cannot be read or served. In an engine it becomes an `error` event.

    `code` is for programs, `param` names the field, `event_id` is the offending event's own id where it gave one.
    """

    def __init__(self, code: str, message: str, param: str | None = None, event_id: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.event_id = event_id


# --- session -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AudioFormat:
    type: str = "audio/pcm"
    rate: int | None = None
    sample_rate: int | None = None
    """Sightline's own and DashScope's: the rate where GA's `rate` cannot say it (its type allows 24000 only)."""
    sample_rate_hz: int | None = None
    """vLLM-Omni's."""


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Finding the user's turns in the engine. Times in milliseconds."""

    type: str = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    """Of `semantic_vad`, which has no times."""


@dataclass(frozen=True, slots=True)
class Transcription:
    model: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class VoiceName:
    id: str


@dataclass(frozen=True, slots=True)
class AudioInput:
    format: AudioFormat | str | None = None
    sample_rate_hz: int | None = None
    transcription: Transcription | Unset | None = field(default=UNSET, metadata=KEEP_NONE)
    turn_detection: TurnDetection | Unset | None = field(default=UNSET, metadata=KEEP_NONE)


@dataclass(frozen=True, slots=True)
class AudioOutput:
    format: AudioFormat | str | None = None
    voice: str | VoiceName | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    input: AudioInput | None = None
    output: AudioOutput | None = None


Modalities: TypeAlias = tuple[Literal["text", "audio"], ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the client carries out. `parameters`: a JSON schema."""

    type: str = ""
    name: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None
    function: dict[str, Any] | None = None
    """The same in the form of chat completions, which some clients send: name, description and parameters inside."""


@dataclass(frozen=True, slots=True)
class ToolName:
    """`tool_choice` that names one function."""

    name: str
    type: str = "function"


ToolChoice: TypeAlias = Literal["auto", "none", "required"] | ToolName


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """`session.update`'s object. The fields after `tool_choice` are the older, flat form."""

    type: str | None = None
    instructions: str | None = None
    output_modalities: Modalities | None = None
    audio: Audio | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    modalities: Modalities | None = None
    voice: str | None = None
    input_audio_format: str | AudioFormat | None = None
    output_audio_format: str | AudioFormat | None = None
    sample_rate: int | None = None
    sample_rate_hz: int | None = None
    temperature: float | None = None
    input_audio_transcription: Transcription | Unset | None = field(default=UNSET, metadata=KEEP_NONE)
    turn_detection: TurnDetection | Unset | None = field(default=UNSET, metadata=KEEP_NONE)
    max_response_output_tokens: int | Literal["inf"] | None = None


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """`model`: vLLM's turn-based clients name one, and send no `session`."""

    TYPE: ClassVar[str] = "session.update"
    session: SessionConfig = field(default_factory=SessionConfig, metadata=STRICT)
    model: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFinish:
    """DashScope's: the client will say no more; answered by `session.finished` when everything is said."""

    TYPE: ClassVar[str] = "session.finish"
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionClose:
    """vLLM-Omni's: answered by `session.closed`, and the connection ends."""

    TYPE: ClassVar[str] = "session.close"
    event_id: str | None = None


# --- input buffers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InputAudioBufferAppend:
    """`audio`: base64 of little-endian 16-bit mono samples at the session's input rate.

    `video_frames` (vLLM-Omni's): base64 JPEGs of the time of this sound.
    """

    TYPE: ClassVar[str] = "input_audio_buffer.append"
    audio: str = field(default="", metadata=STRICT)
    video_frames: tuple[str, ...] | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputAudioBufferCommit:
    """`final` false (vLLM-Omni's): the turn goes on, nothing is committed. `response_create`: whether to answer it."""

    TYPE: ClassVar[str] = "input_audio_buffer.commit"
    final: bool | None = None
    response_create: bool | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputAudioBufferClear:
    TYPE: ClassVar[str] = "input_audio_buffer.clear"
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputImageBufferAppend:
    """DashScope's event. `image`: base64 JPEG. `at_ms`: its time on the turn's sound; without it, the sound so far."""

    TYPE: ClassVar[str] = "input_image_buffer.append"
    image: str
    at_ms: int | None = None
    event_id: str | None = None


# --- conversation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContentPart:
    """One piece of an item's content, in either direction."""

    type: str
    text: str | None = None
    audio: str | None = None
    transcript: str | None = field(default=None, metadata={"keep_none": lambda part: part.type == "input_audio"})
    """Of sound that has no words yet it is null on the wire: some clients need the field."""
    image_url: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the conversation: a message, a `function_call` or its `function_call_output`."""

    type: str
    role: Literal["user", "assistant", "system"] | None = None
    content: tuple[ContentPart, ...] = field(default=(), metadata={"omit": lambda item: item.type != "message"})
    id: str | None = None
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    """JSON text."""
    output: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationItemCreate:
    TYPE: ClassVar[str] = "conversation.item.create"
    item: Item
    previous_item_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationItemTruncate:
    TYPE: ClassVar[str] = "conversation.item.truncate"
    item_id: str
    audio_end_ms: int
    content_index: int = 0
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationItemDelete:
    TYPE: ClassVar[str] = "conversation.item.delete"
    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationItemRetrieve:
    TYPE: ClassVar[str] = "conversation.item.retrieve"
    item_id: str
    event_id: str | None = None


# --- responses -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResponseConfig:
    instructions: str | None = None
    output_modalities: Modalities | None = None
    modalities: Modalities | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    conversation: str | None = None
    input: tuple[Item, ...] | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: ToolChoice | None = None
    metadata: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ResponseCreate:
    TYPE: ClassVar[str] = "response.create"
    response: ResponseConfig | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseCancel:
    TYPE: ClassVar[str] = "response.cancel"
    response_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SightlineSay:
    """Sightline's own: speak this text exactly, in the session's voice, the model choosing no word of it.

    Answered like `response.create`, by one response with speech that can be cancelled and truncated. With
    `conversation` "none" the model forgets it afterwards, and it becomes no item of the conversation.
    """

    TYPE: ClassVar[str] = "sightline.say"
    text: str
    conversation: Literal["auto", "none"] = "auto"
    metadata: dict[str, str] | None = None
    event_id: str | None = None


ClientEvent: TypeAlias = (
    SessionUpdate
    | SessionFinish
    | SessionClose
    | SightlineSay
    | InputAudioBufferAppend
    | InputAudioBufferCommit
    | InputAudioBufferClear
    | InputImageBufferAppend
    | ConversationItemCreate
    | ConversationItemTruncate
    | ConversationItemDelete
    | ConversationItemRetrieve
    | ResponseCreate
    | ResponseCancel
)

CLIENT_EVENTS: tuple[type[ClientEvent], ...] = (
    SessionUpdate,
    SessionFinish,
    SessionClose,
    SightlineSay,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputAudioBufferClear,
    InputImageBufferAppend,
    ConversationItemCreate,
    ConversationItemTruncate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ResponseCreate,
    ResponseCancel,
)
_BY_TYPE: dict[str, type[ClientEvent]] = {event.TYPE: event for event in CLIENT_EVENTS}

NEEDS_NO_ANSWER = frozenset(
    {
        "playback.ack",
        "session.heartbeat",
        "session.event_ack",
        "turn.signal",
        "output_audio_buffer.clear",  # of connections on which the server plays; this one sends as fast as it can
        "transcription_session.update",
    }
)
"""Events of other protocols that tell a server something it may as well not know."""


def parse_client_event(message: str | bytes) -> ClientEvent | None:
    """Reads one message, None when it needs no answer; raises `WireError` for anything that is no client event."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise WireError(
            "message_too_large",
            f"The message has {len(message)} bytes; at most {MAX_MESSAGE_BYTES} are read. Send smaller pieces.",
        )
    data = load_object(message)
    event_id = data.get("event_id")
    event_id = event_id if isinstance(event_id, str) and len(event_id) <= 512 else None
    type_name = data.get("type")
    if not isinstance(type_name, str):
        raise WireError("missing_type", "The message has no 'type' text.", "type", event_id)
    cls = _BY_TYPE.get(type_name)
    if type_name in NEEDS_NO_ANSWER:
        return None
    if cls is None:
        raise WireError(
            "unknown_event", f"Unknown event type {type_name[:80]!r}; known: {', '.join(_BY_TYPE)}.", "type", event_id
        )
    left_out: list[str] = []
    try:
        event = decode(cls, data, left_out=left_out)
    except FieldError as error:
        raise WireError("invalid_value", str(error), error.param, event_id) from None
    if left_out:
        log.debug("%s: left out what cannot be read: %s", type_name, ", ".join(left_out[:10]))
    return event


def load_object(message: str | bytes) -> dict[str, Any]:
    """A JSON object from a text or UTF-8 message; raises `WireError`."""
    try:
        data = json.loads(message, parse_constant=_no_constant)
    except RecursionError:
        raise WireError("invalid_json", "The message is nested too deeply.") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both ValueErrors.
        raise WireError("invalid_json", f"The message is not JSON text in UTF-8: {error}.") from None
    if not isinstance(data, dict):
        raise WireError("invalid_json", "The message is JSON, but not an object.")
    return data


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def client_event_json(event: ClientEvent) -> str:
    return json.dumps(encode(event), separators=(",", ":"))


def decode_base64(text: str, param: str) -> bytes:
    """Bytes of a base64 field; raises `WireError`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("invalid_base64", f"{param} is not base64: {error}.", param) from None


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
