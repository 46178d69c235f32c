"""Reading `conversation.item.create`: what the client wants in the conversation, checked before the model sees any."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

from model.conversation.calls import result_text
from model.realtime.client_events import ContentPart, Item, WireError, decode_base64
from model.realtime.pcm import decode_pcm16, from_pcm16
from model.realtime.pictures import decode_picture
from model.realtime.records import Record
from model.realtime.turn import TurnInput

MAX_TEXT_CHARS = 131_072
MAX_ID_CHARS = 512
TEXT_TYPES = {"user": ("input_text", "text"), "system": ("input_text", "text"), "assistant": ("output_text", "text")}


def read_item(item: Item, item_id: str, input_rate_hz: int) -> tuple[Record, TurnInput]:
    """The record that the client will see and the input that the model will get; raises `WireError`."""
    entry = TurnInput(item_id, closed=True)
    if item.type == "function_call_output":
        output = item.output or ""
        entry.read(_limited(result_text(output), "item.output"))
        return Record(
            item_id, "user", (), kind="function_call_output", call_id=item.call_id or "", output=output
        ), entry  # fmt: skip
    if item.type == "function_call":
        record = _call(item, item_id)
        entry.read(_limited(record.text, "item.arguments"), "assistant")
        return record, entry
    if item.type != "message":
        raise _bad(
            "item.type", f"expected 'message', 'function_call' or 'function_call_output', got {item.type[:40]!r}"
        )
    if item.role is None:
        raise WireError("missing_value", "item.role: expected 'user', 'assistant' or 'system'.", "item.role")
    if not item.content:
        raise _bad("item.content", "expected at least one part, got none")
    parts = (
        _read_part(part, item.role, f"item.content[{index}]", entry, input_rate_hz)
        for index, part in enumerate(item.content)
    )
    content = tuple(part for part in parts if part is not None)
    if not content:
        raise _bad("item.content", "every part of it is empty")
    return Record(item_id, item.role, content), entry


def _call(item: Item, item_id: str) -> Record:
    if not item.name:
        raise WireError("missing_value", "item.name: expected the function's name.", "item.name")
    arguments = item.arguments or "{}"
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        arguments = json.dumps(arguments)
    return Record(
        item_id, "assistant", (), kind="function_call", call_id=item.call_id or "", name=item.name, arguments=arguments
    )  # fmt: skip


def check_id(item_id: str) -> str:
    if not 0 < len(item_id) <= MAX_ID_CHARS:
        raise _bad("item.id", f"expected 1 to {MAX_ID_CHARS} characters, got {len(item_id)}")
    return item_id


def _read_part(
    part: ContentPart, role: Literal["user", "assistant", "system"], param: str, entry: TurnInput, input_rate_hz: int
) -> ContentPart | None:
    """Adds one part to `entry`; returns how the record shows it (sound and pictures are not sent back).

    None: a part of text or a transcript with nothing in it, which clients send for replies that were cut early.
    """
    if part.type in (*TEXT_TYPES[role], "input_text", "output_text"):
        if not part.text:
            return None
        entry.read(_limited(part.text, f"{param}.text"), role)
        return replace(part, type=TEXT_TYPES[role][0], audio=None)
    if role == "assistant" and part.type in ("output_audio", "audio"):
        if not part.transcript:
            return None
        entry.read(_limited(part.transcript, f"{param}.transcript"), role)
        return ContentPart("output_audio", transcript=part.transcript)
    if role == "user" and part.type in ("input_audio", "audio"):
        if part.audio is None and part.transcript:  # of an earlier conversation: only its words are left
            entry.read(_limited(part.transcript, f"{param}.transcript"), role)
            return ContentPart("input_audio", transcript=part.transcript)
        data = decode_pcm16(part.audio, f"{param}.audio")
        entry.hear(from_pcm16(data), input_rate_hz)
        return ContentPart("input_audio", transcript=part.transcript)
    if role == "user" and part.type == "input_image":
        data = _data_url(part.image_url, f"{param}.image_url")
        decode_picture(data, f"{param}.image_url")
        entry.see(data, entry.sound_s)
        return ContentPart("input_image")
    raise _bad(f"{param}.type", f"a message of the {role} has no part {part.type[:40]!r}")


def _limited(text: str, param: str) -> str:
    if len(text) > MAX_TEXT_CHARS:
        raise _bad(param, f"{len(text)} characters; at most {MAX_TEXT_CHARS}")
    return text


def _data_url(url: str | None, param: str) -> bytes:
    head, comma, body = (url or "").partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise _bad(param, "expected 'data:image/jpeg;base64,...'; this engine fetches nothing")
    return decode_base64(body, param)


def _bad(param: str, message: str) -> WireError:
    return WireError("invalid_value", f"{param}: {message}.", param)
