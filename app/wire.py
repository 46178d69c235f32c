"""What the conversation wants of its engine, as client events. The other way: `app.translator`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.realtime.events import (
    Audio,
    AudioFormat,
    AudioInput,
    AudioOutput,
    ContentPart,
    ConversationItemCreate,
    InputAudioBufferAppend,
    Item,
    ResponseConfig,
    ResponseCreate,
    SessionConfig,
    SessionUpdate,
    SightlineSay,
    Transcription,
    encode_base64,
)

INPUT_RATE_HZ = 16_000
REPLY_EVENT_ID = "reply-"


def session_update(
    instructions: str, voice: str, speech: bool, transcribe: bool, tools: tuple[Any, ...] = ()
) -> SessionUpdate:
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
            tools=tools or None,
        )
    )


def sound_append(samples: NDArray[np.float32]) -> InputAudioBufferAppend:
    """float32 [n] at 16 kHz in -1..1 -> pcm16."""
    pcm = (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2")
    return InputAudioBufferAppend(encode_base64(pcm.tobytes()))


def text_item(text: str, jpeg: bytes | None, item_id: str | None = None) -> ConversationItemCreate:
    parts: tuple[ContentPart, ...] = (ContentPart("input_text", text=text),)
    if jpeg is not None:
        parts = (ContentPart("input_image", image_url=f"data:image/jpeg;base64,{encode_base64(jpeg)}"), *parts)
    return ConversationItemCreate(Item("message", id=item_id, role="user", content=parts))


def picture_item(jpeg: bytes) -> ConversationItemCreate:
    part = ContentPart("input_image", image_url=f"data:image/jpeg;base64,{encode_base64(jpeg)}")
    return ConversationItemCreate(Item("message", role="user", content=(part,)))


def tool_result(call_id: str, output: str) -> ConversationItemCreate:
    return ConversationItemCreate(Item("function_call_output", call_id=call_id, output=output))


def restored_item(role: str, text: str) -> ConversationItemCreate:
    if role == "assistant":
        return ConversationItemCreate(
            Item("message", role="assistant", content=(ContentPart("output_text", text=text),))
        )
    return ConversationItemCreate(Item("message", role="user", content=(ContentPart("input_text", text=text),)))


def speak_words(reply: int, text: str) -> SightlineSay:
    """Exactly these words, in the session's voice; the model does not remember them."""
    return SightlineSay(text, "none", {"reply": str(reply)}, f"{REPLY_EVENT_ID}{reply}")


def response_create(reply: int, speech: bool, max_tokens: int | None) -> ResponseCreate:
    return ResponseCreate(
        ResponseConfig(
            output_modalities=("audio",) if speech else ("text",),
            max_output_tokens=max_tokens,
            metadata={"reply": str(reply)},
        ),
        event_id=f"{REPLY_EVENT_ID}{reply}",
    )
