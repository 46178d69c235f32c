"""Reading `conversation.item.create`: what the client wants in the conversation, checked before the model sees any."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from model.realtime.client_events import Item, Part, WireError, decode_base64
from model.realtime.pictures import decode_picture
from model.realtime.records import Record
from model.realtime.reply import from_pcm16
from model.realtime.turn import TurnInput

MAX_TEXT_CHARS = 65_536
MAX_ID_CHARS = 64
TEXT_TYPES = {"user": ("input_text", "text"), "system": ("input_text", "text"), "assistant": ("output_text", "text")}


def read_item(item: Item, item_id: str, input_rate_hz: int) -> tuple[Record, TurnInput]:
    """The record that the client will see and the input that the model will get; raises `WireError`."""
    if item.type != "message":
        raise _bad("item.type", f"expected 'message', got {item.type[:40]!r}; this engine calls no tools")
    if item.role is None:
        raise WireError("missing_value", "item.role: expected 'user', 'assistant' or 'system'.", "item.role")
    if not item.content:
        raise _bad("item.content", "expected at least one part, got none")
    entry = TurnInput(item_id, closed=True)
    content = tuple(
        _read_part(part, item.role, f"item.content[{index}]", entry, input_rate_hz)
        for index, part in enumerate(item.content)
    )
    return Record(item_id, item.role, content), entry


def check_id(item_id: str) -> str:
    if not 0 < len(item_id) <= MAX_ID_CHARS:
        raise _bad("item.id", f"expected 1 to {MAX_ID_CHARS} characters, got {len(item_id)}")
    return item_id


def _read_part(
    part: Part, role: Literal["user", "assistant", "system"], param: str, entry: TurnInput, input_rate_hz: int
) -> Part:
    """Adds one part to `entry`; returns how the record shows it (sound and pictures are not sent back)."""
    if part.type in TEXT_TYPES[role]:
        entry.read(_text(part.text, f"{param}.text"), role)
        return replace(part, type=TEXT_TYPES[role][0], audio=None)
    if role == "assistant" and part.type in ("output_audio", "audio"):
        entry.read(_text(part.transcript, f"{param}.transcript"), role)
        return Part("output_audio", transcript=part.transcript)
    if role == "user" and part.type == "input_audio":
        data = decode_pcm16(part.audio, f"{param}.audio")
        entry.hear(from_pcm16(data), input_rate_hz)
        return Part("input_audio", transcript=part.transcript)
    if role == "user" and part.type == "input_image":
        data = _data_url(part.image_url, f"{param}.image_url")
        decode_picture(data, f"{param}.image_url")
        entry.see(data, entry.sound_s)
        return Part("input_image")
    raise _bad(f"{param}.type", f"a message of the {role} has no part {part.type[:40]!r}")


def decode_pcm16(audio: str | None, param: str) -> bytes:
    """Samples of a base64 field; raises `WireError`."""
    if audio is None:
        raise WireError("missing_value", f"{param}: expected base64 of 16-bit samples.", param)
    data = decode_base64(audio, param)
    if len(data) % 2:
        raise _bad(param, f"16-bit samples need an even number of bytes, got {len(data)}")
    return data


def _text(text: str | None, param: str) -> str:
    if not text:
        raise WireError("missing_value", f"{param}: expected some text.", param)
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
