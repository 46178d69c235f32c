"""Between the wire and the conversation: server events become reducer events, effects become client events."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app import events as ev
from model.realtime.events import (
    Audio,
    AudioFormat,
    AudioInput,
    AudioOutput,
    ConversationItemCreate,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferAppend,
    InputAudioBufferCommitted,
    InputTranscriptionCompleted,
    InputTranscriptionFailed,
    Item,
    OutputAudioDelta,
    OutputItemAdded,
    OutputTextDelta,
    OutputTranscriptDelta,
    Part,
    ResponseConfig,
    ResponseCreate,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionConfig,
    SessionUpdate,
    Transcription,
    WireError,
    decode_base64,
    encode_base64,
)

INPUT_RATE_HZ = 16_000
REPLY_EVENT_ID = "reply-"
ENDS_THE_ENGINE = frozenset({"model_load_failed", "out_of_memory", "engine_failed"})
"""Errors after which the engine goes; what they say comes again as the reason why it went."""


def session_update(instructions: str, voice: str, speech: bool, transcribe: bool) -> SessionUpdate:
    """Turns are found by the app (`turn_detection` null); "" leaves instructions or voice as the engine has them."""
    return SessionUpdate(
        SessionConfig(
            type="realtime",
            instructions=instructions or None,
            output_modalities=("audio",) if speech else ("text",),
            audio=Audio(
                input=AudioInput(
                    format=AudioFormat(sample_rate=INPUT_RATE_HZ),
                    transcription=Transcription() if transcribe else None,
                    turn_detection=None,
                ),
                output=AudioOutput(voice=voice or None),
            ),
        )
    )


def sound_append(samples: NDArray[np.float32]) -> InputAudioBufferAppend:
    """float32 [n] at 16 kHz in -1..1 -> pcm16."""
    pcm = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2")
    return InputAudioBufferAppend(encode_base64(pcm.tobytes()))


def text_item(text: str, jpeg: bytes | None, item_id: str | None = None) -> ConversationItemCreate:
    parts: tuple[Part, ...] = (Part("input_text", text=text),)
    if jpeg is not None:
        parts = (Part("input_image", image_url=f"data:image/jpeg;base64,{encode_base64(jpeg)}"), *parts)
    return ConversationItemCreate(Item("message", id=item_id, role="user", content=parts))


def restored_item(role: str, text: str) -> ConversationItemCreate:
    if role == "assistant":
        return ConversationItemCreate(Item("message", role="assistant", content=(Part("output_text", text=text),)))
    return ConversationItemCreate(Item("message", role="user", content=(Part("input_text", text=text),)))


def response_create(reply: int, speech: bool, max_tokens: int | None) -> ResponseCreate:
    return ResponseCreate(
        ResponseConfig(
            output_modalities=("audio",) if speech else ("text",),
            max_output_tokens=max_tokens,
            metadata={"reply": str(reply)},
        ),
        event_id=f"{REPLY_EVENT_ID}{reply}",
    )


class Translator:
    """Turns server events into reducer events; one for each connection.

    Remembers which replies were asked for: an engine that does not give metadata back answers in order.
    """

    def __init__(self) -> None:
        self._asked: list[int] = []

    def asked(self, reply: int) -> None:
        self._asked = [*self._asked, reply][-20:]

    def translate(self, event: ServerEvent, at_s: float) -> ev.Event | str | None:
        """An event, a message for the log (an error that belongs to nothing), or None for what is of no interest."""
        match event:
            case ResponseCreated():
                return self._created(event, at_s)
            case OutputItemAdded() if event.item.id is not None:
                return ev.ReplyItem(at_s, event.response_id, event.item.id)
            case OutputTranscriptDelta():
                return ev.ReplyText(at_s, event.response_id, event.delta, event.audio_ms)
            case OutputTextDelta():
                return ev.ReplyText(at_s, event.response_id, event.delta)
            case OutputAudioDelta():
                return self._speech(event, at_s)
            case ResponseDone() if event.response.id is not None:
                return ev.ReplyDone(at_s, event.response.id, self._failure(event))
            case InputAudioBufferCommitted():
                return ev.InputCommitted(at_s, event.item_id)
            case InputTranscriptionCompleted():
                return ev.UserTranscribed(at_s, event.item_id, event.transcript)
            case InputTranscriptionFailed():
                return ev.UserTranscribed(at_s, event.item_id, None)
            case ConversationItemTruncated():
                return ev.ReplyTruncated(at_s, event.item_id, event.transcript)
            case ErrorEvent():
                return self._error(event, at_s)
            case _:
                return None

    def _created(self, event: ResponseCreated, at_s: float) -> ev.Event | None:
        if event.response.id is None:
            return None
        named = (event.response.metadata or {}).get("reply")
        if isinstance(named, str) and named.isdigit():
            reply = int(named)
            self._asked = [asked for asked in self._asked if asked != reply]
        elif self._asked:
            reply = self._asked.pop(0)
        else:
            return None
        return ev.ReplyCreated(at_s, reply, event.response.id)

    def _speech(self, event: OutputAudioDelta, at_s: float) -> ev.Event | str:
        try:
            data = decode_base64(event.delta, "delta")
        except WireError as error:
            return f"speech of {event.response_id} could not be read: {error}"
        pcm = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
        return ev.ReplySpeech(at_s, event.response_id, pcm.astype(np.float32) / 32768.0)

    @staticmethod
    def _failure(event: ResponseDone) -> str:
        if event.response.status != "failed":
            return ""
        details = event.response.status_details
        error = details.error if details is not None else None
        return error.message if error is not None and error.message else "the engine gave no reason"

    def _error(self, event: ErrorEvent, at_s: float) -> ev.Event | str | None:
        event_id = event.error.event_id or ""
        number = event_id.removeprefix(REPLY_EVENT_ID)
        if event_id.startswith(REPLY_EVENT_ID) and number.isdigit():
            self._asked = [asked for asked in self._asked if asked != int(number)]
            return ev.ReplyRefused(at_s, int(number), event.error.message)
        if event.error.code in ENDS_THE_ENGINE:
            return None
        return f"the engine reports: {event.error.message} ({event.error.code})"
