"""What an engine says: the GA server events of OpenAI's Realtime protocol.

The dataclasses are the wire; the field names and nullability are those of the `openai` package's types, which the tests
validate every event against. Two fields are Sightline's own, where GA has nothing: `audio_ms` on transcript deltas (the
reply's sound at which this text begins) and `transcript` on `conversation.item.truncated` (what is left of it).

`parse_server_event` also reads the older names (OpenAI's beta, DashScope), so that one client serves both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from model.realtime.client_events import ContentPart, Item, WireError, load_object
from model.realtime.codec import FieldError, decode, encode

NULLABLE = {"keep_none": True}


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """`session`: the effective configuration, as GA or (older engines) flat fields."""

    TYPE: ClassVar[str] = "session.created"
    session: dict[str, Any]
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    TYPE: ClassVar[str] = "session.updated"
    session: dict[str, Any]
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionFinished:
    """DashScope's answer to `session.finish`."""

    TYPE: ClassVar[str] = "session.finished"
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """vLLM-Omni's answer to `session.close`; the connection ends after it."""

    TYPE: ClassVar[str] = "session.closed"
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ConversationItemAdded:
    TYPE: ClassVar[str] = "conversation.item.added"
    item: Item
    previous_item_id: str | None = field(default=None, metadata=NULLABLE)
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ConversationItemDone:
    TYPE: ClassVar[str] = "conversation.item.done"
    item: Item
    previous_item_id: str | None = field(default=None, metadata=NULLABLE)
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ConversationItemRetrieved:
    TYPE: ClassVar[str] = "conversation.item.retrieved"
    item: Item
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ConversationItemDeleted:
    TYPE: ClassVar[str] = "conversation.item.deleted"
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ConversationItemTruncated:
    TYPE: ClassVar[str] = "conversation.item.truncated"
    item_id: str
    audio_end_ms: int
    content_index: int = 0
    transcript: str | None = None
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptionUsage:
    seconds: float
    type: Literal["duration"] = "duration"


@dataclass(frozen=True, slots=True)
class InputTranscriptionDelta:
    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.delta"
    item_id: str
    delta: str = ""
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class InputTranscriptionCompleted:
    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.completed"
    item_id: str
    transcript: str
    usage: TranscriptionUsage | None = None
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class EventError:
    """What went wrong. `event_id` is the client event it answers, where that had one."""

    message: str = ""
    type: str = "invalid_request_error"
    code: str | None = field(default=None, metadata=NULLABLE)
    param: str | None = field(default=None, metadata=NULLABLE)
    event_id: str | None = field(default=None, metadata=NULLABLE)


@dataclass(frozen=True, slots=True)
class TranscriptionError:
    message: str
    code: str | None = None
    type: str = "server_error"


@dataclass(frozen=True, slots=True)
class InputTranscriptionFailed:
    TYPE: ClassVar[str] = "conversation.item.input_audio_transcription.failed"
    item_id: str
    error: TranscriptionError
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class InputAudioBufferCommitted:
    TYPE: ClassVar[str] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None = field(default=None, metadata=NULLABLE)
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class InputAudioBufferCleared:
    TYPE: ClassVar[str] = "input_audio_buffer.cleared"
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """`audio_start_ms`: in the sound written to the buffer since the session began, padding included."""

    TYPE: ClassVar[str] = "input_audio_buffer.speech_started"
    audio_start_ms: int
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    TYPE: ClassVar[str] = "input_audio_buffer.speech_stopped"
    audio_end_ms: int
    item_id: str
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class StatusDetails:
    type: Literal["completed", "cancelled", "incomplete", "failed"]
    reason: Literal["turn_detected", "client_cancelled", "max_output_tokens", "content_filter"] | None = None
    error: TranscriptionError | None = None


@dataclass(frozen=True, slots=True)
class TokenDetails:
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Positions that this reply added: the user's turn (input) and the reply (output)."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_token_details: TokenDetails | None = None
    output_token_details: TokenDetails | None = None


ResponseStatus: TypeAlias = Literal["completed", "cancelled", "failed", "incomplete", "in_progress"]


@dataclass(frozen=True, slots=True)
class Response:
    id: str | None = None
    status: ResponseStatus | None = None
    output: tuple[Item, ...] = ()
    output_modalities: tuple[Literal["text", "audio"], ...] | None = None
    max_output_tokens: int | Literal["inf"] | None = None
    conversation_id: str | None = None
    metadata: dict[str, Any] | None = None
    status_details: StatusDetails | None = field(default=None, metadata=NULLABLE)
    usage: Usage | None = field(default=None, metadata=NULLABLE)
    object: Literal["realtime.response"] = "realtime.response"


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    TYPE: ClassVar[str] = "response.created"
    response: Response
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    TYPE: ClassVar[str] = "response.done"
    response: Response
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    TYPE: ClassVar[str] = "response.output_item.added"
    response_id: str
    item: Item
    output_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    TYPE: ClassVar[str] = "response.output_item.done"
    response_id: str
    item: Item
    output_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ContentPartAdded:
    TYPE: ClassVar[str] = "response.content_part.added"
    response_id: str
    item_id: str
    part: ContentPart
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ContentPartDone:
    TYPE: ClassVar[str] = "response.content_part.done"
    response_id: str
    item_id: str
    part: ContentPart
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputAudioDelta:
    """`delta`: base64 of little-endian 16-bit mono samples at 24 kHz."""

    TYPE: ClassVar[str] = "response.output_audio.delta"
    response_id: str
    item_id: str
    delta: str
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputAudioDone:
    TYPE: ClassVar[str] = "response.output_audio.done"
    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputTranscriptDelta:
    TYPE: ClassVar[str] = "response.output_audio_transcript.delta"
    response_id: str
    item_id: str
    delta: str
    audio_ms: int | None = None
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputTranscriptDone:
    TYPE: ClassVar[str] = "response.output_audio_transcript.done"
    response_id: str
    item_id: str
    transcript: str
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputTextDelta:
    TYPE: ClassVar[str] = "response.output_text.delta"
    response_id: str
    item_id: str
    delta: str
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputTextDone:
    TYPE: ClassVar[str] = "response.output_text.done"
    response_id: str
    item_id: str
    text: str
    output_index: int = 0
    content_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class FunctionCallArgumentsDelta:
    """`delta`: a piece of the arguments' JSON text."""

    TYPE: ClassVar[str] = "response.function_call_arguments.delta"
    response_id: str
    item_id: str
    call_id: str
    delta: str
    output_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class FunctionCallArgumentsDone:
    TYPE: ClassVar[str] = "response.function_call_arguments.done"
    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str
    output_index: int = 0
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    TYPE: ClassVar[str] = "error"
    error: EventError
    event_id: str = ""


@dataclass(frozen=True, slots=True)
class UnknownServerEvent:
    """An event of a newer or other engine; kept so that a client can log it."""

    type: str
    data: dict[str, Any]
    event_id: str = ""


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | SessionFinished
    | SessionClosed
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemRetrieved
    | ConversationItemDeleted
    | ConversationItemTruncated
    | InputTranscriptionDelta
    | InputTranscriptionCompleted
    | InputTranscriptionFailed
    | InputAudioBufferCommitted
    | InputAudioBufferCleared
    | SpeechStarted
    | SpeechStopped
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputAudioDelta
    | OutputAudioDone
    | OutputTranscriptDelta
    | OutputTranscriptDone
    | OutputTextDelta
    | OutputTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | ErrorEvent
    | UnknownServerEvent
)

SERVER_EVENTS: tuple[type[Any], ...] = (
    SessionCreated,
    SessionUpdated,
    SessionFinished,
    SessionClosed,
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemRetrieved,
    ConversationItemDeleted,
    ConversationItemTruncated,
    InputTranscriptionDelta,
    InputTranscriptionCompleted,
    InputTranscriptionFailed,
    InputAudioBufferCommitted,
    InputAudioBufferCleared,
    SpeechStarted,
    SpeechStopped,
    ResponseCreated,
    ResponseDone,
    OutputItemAdded,
    OutputItemDone,
    ContentPartAdded,
    ContentPartDone,
    OutputAudioDelta,
    OutputAudioDone,
    OutputTranscriptDelta,
    OutputTranscriptDone,
    OutputTextDelta,
    OutputTextDone,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    ErrorEvent,
)
_BY_TYPE: dict[str, type[Any]] = {event.TYPE: event for event in SERVER_EVENTS}

OLDER_NAMES: dict[str, str] = {
    "response.audio.delta": OutputAudioDelta.TYPE,
    "response.audio.done": OutputAudioDone.TYPE,
    "response.audio_transcript.delta": OutputTranscriptDelta.TYPE,
    "response.audio_transcript.done": OutputTranscriptDone.TYPE,
    "response.text.delta": OutputTextDelta.TYPE,
    "response.text.done": OutputTextDone.TYPE,
    "conversation.item.created": ConversationItemAdded.TYPE,
}
"""Beta and DashScope names of the same events."""


def parse_server_event(message: str | bytes) -> ServerEvent:
    """Reads one message of any engine; raises `WireError` when it is no such event."""
    data = load_object(message)
    type_name = data.get("type")
    if not isinstance(type_name, str):
        raise WireError("missing_type", "The engine's message has no 'type' text.", "type")
    cls = _BY_TYPE.get(OLDER_NAMES.get(type_name, type_name))
    if cls is None:
        return UnknownServerEvent(type_name, data)
    try:
        event: ServerEvent = decode(cls, data)
    except FieldError as error:
        raise WireError("invalid_value", f"{type_name}: {error}", error.param) from None
    return event


def server_event_json(event: ServerEvent) -> str:
    return json.dumps(encode(event), separators=(",", ":"))
