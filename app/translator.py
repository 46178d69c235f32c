"""What an engine says, as events of the conversation. One for each session of an engine; owned by the Assistant.

Servers differ in what they give back and in who begins. A server that gives no metadata back answers in order. A server
that ends the user's turns by itself may commit sound and begin a reply before the app has asked for either: both are
kept, and are the app's as soon as it asks. A reply that the user talked over before anybody asked for it is forgotten.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import replace

import numpy as np

from app import events as ev
from app.wire import REPLY_EVENT_ID
from model.realtime.events import (
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferCommitted,
    InputTranscriptionCompleted,
    InputTranscriptionFailed,
    Item,
    OutputAudioDelta,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTranscriptDelta,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    WireError,
    decode_base64,
)

log = logging.getLogger(__name__)

ENDS_THE_ENGINE = frozenset({"model_load_failed", "out_of_memory", "engine_failed"})
"""Errors after which the engine goes; what they say comes again as the reason why it went."""
MAX_ASKED = 20
MAX_ITEMS = 50
MAX_EARLY_EVENTS = 20_000
"""Of a reply that nobody has asked for; more than 10 minutes of speech. Overflow: it is forgotten."""

Events = tuple[ev.Event, ...]
OfReply = ev.ReplyItem | ev.ReplyText | ev.ReplySpeech | ev.ReplyDone | ev.ToolCalled


class Translator:
    """`began`, `committed` and `asked` are told what the app does; what is returned is for the conversation."""

    def __init__(self) -> None:
        self._asked: list[int] = []
        self._commits = 0
        """Of the app, not answered by the server."""
        self._items: deque[str] = deque(maxlen=MAX_ITEMS)
        """Items that the conversation knows."""
        self._early_items: deque[str] = deque(maxlen=MAX_ITEMS)
        """Committed by the server before the app did."""
        self._early_words: dict[str, ev.UserTranscribed] = {}
        self._newest = ""
        """The newest reply; what is said without an id belongs to it."""
        self._early_reply: str | None = None
        self._early: list[ev.Event] = []
        self._adopted: set[int] = set()
        self._calls: deque[str] = deque(maxlen=MAX_ITEMS)

    # --- what the app does ---

    def began(self) -> None:
        """The user says or types something new: what the server has begun before belongs to nothing."""
        self._early_reply, self._early = None, []
        self._early_items.clear()

    def asked(self, reply: int, at_s: float = 0.0) -> Events:
        """The app has asked for a reply: perhaps one that the server has begun already."""
        if self._early_reply is None:
            self._asked = [*self._asked, reply][-MAX_ASKED:]
            return ()
        response_id, early = self._early_reply, self._early
        self._early_reply, self._early = None, []
        self._adopted.add(reply)
        return (ev.ReplyCreated(at_s, reply, response_id), *(replace(event, at_s=at_s) for event in early))

    def committed(self, at_s: float = 0.0) -> Events:
        """The app has committed sound: perhaps after the server has."""
        if not self._early_items:
            self._commits += 1
            return ()
        return self._know(self._early_items.popleft(), at_s)

    # --- what the server says ---

    def translate(self, event: ServerEvent, at_s: float) -> Events:
        """The conversation's events; none for what is of no interest. What belongs to nothing is logged."""
        match event:
            case ResponseCreated():
                return self._created(event, at_s)
            case InputAudioBufferCommitted():
                return self._item(event.item_id, at_s)
            case InputTranscriptionCompleted():
                return self._words(ev.UserTranscribed(at_s, event.item_id, event.transcript))
            case InputTranscriptionFailed():
                return self._words(ev.UserTranscribed(at_s, event.item_id, None))
            case ConversationItemTruncated():
                return (ev.ReplyTruncated(at_s, event.item_id, event.transcript),)
            case ErrorEvent():
                return self._error(event, at_s)
        made = self._of_reply(event, at_s)
        if isinstance(event, ResponseDone):  # a server may tell its calls there alone
            calls = (self._call(item, event.response.id or self._newest, at_s) for item in event.response.output)
            return tuple(kept for one in (*calls, made) if one is not None for kept in self._kept(one, event))
        return self._kept(made, event) if made is not None else ()

    def _kept(self, made: OfReply, event: ServerEvent) -> Events:
        early = self._early_reply is not None and made.response_id == self._early_reply
        return self._keep(made, event) if early else (made,)

    def _call(self, item: Item, response_id: str, at_s: float) -> ev.ToolCalled | None:
        """A call, the first time it is told."""
        if item.type != "function_call" or not item.call_id or item.call_id in self._calls:
            return None
        self._calls.append(item.call_id)
        return ev.ToolCalled(at_s, response_id, item.call_id, item.name or "", item.arguments or "{}")

    def _of_reply(self, event: ServerEvent, at_s: float) -> OfReply | None:
        match event:
            case OutputItemDone():
                return self._call(event.item, event.response_id or self._newest, at_s)
            case OutputItemAdded() if event.item.id is not None and event.item.type in ("message", ""):
                return ev.ReplyItem(at_s, event.response_id or self._newest, event.item.id)
            case OutputTranscriptDelta():
                return ev.ReplyText(at_s, event.response_id or self._newest, event.delta, event.audio_ms)
            case OutputTextDelta():
                return ev.ReplyText(at_s, event.response_id or self._newest, event.delta)
            case OutputAudioDelta():
                return self._speech(event, at_s)
            case ResponseDone():
                return ev.ReplyDone(at_s, event.response.id or self._newest, _failure(event))
            case _:
                return None

    def _speech(self, event: OutputAudioDelta, at_s: float) -> ev.ReplySpeech | None:
        try:
            data = decode_base64(event.delta, "delta")
        except WireError as error:
            log.warning("speech of %s could not be read: %s", event.response_id, error)
            return None
        pcm = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
        return ev.ReplySpeech(at_s, event.response_id or self._newest, pcm.astype(np.float32) / 32768.0)

    # --- replies ---

    def _created(self, event: ResponseCreated, at_s: float) -> Events:
        response_id = event.response.id
        if response_id is None:
            return ()
        self._newest = response_id
        named = (event.response.metadata or {}).get("reply")
        if isinstance(named, str) and named.isascii() and named.isdigit():
            reply = int(named)
            self._asked = [asked for asked in self._asked if asked != reply]
            return () if reply in self._adopted else (ev.ReplyCreated(at_s, reply, response_id),)
        if self._asked:
            return (ev.ReplyCreated(at_s, self._asked.pop(0), response_id),)
        self._early_reply, self._early = response_id, []
        return ()

    def _keep(self, made: OfReply, event: ServerEvent) -> Events:
        over = isinstance(event, ResponseDone) and event.response.status in ("cancelled", "failed")
        if over or len(self._early) >= MAX_EARLY_EVENTS:
            self._early_reply, self._early = None, []
        else:
            self._early.append(made)
        return ()

    # --- the user's items ---

    def _item(self, item_id: str, at_s: float) -> Events:
        if self._commits:
            self._commits -= 1
            return self._know(item_id, at_s)
        self._early_items.append(item_id)
        return ()

    def _know(self, item_id: str, at_s: float) -> Events:
        self._items.append(item_id)
        words = self._early_words.pop(item_id, None)
        committed = ev.InputCommitted(at_s, item_id)
        return (committed,) if words is None else (committed, replace(words, at_s=at_s))

    def _words(self, words: ev.UserTranscribed) -> Events:
        if words.item_id in self._items:
            return (words,)
        if words.item_id in self._early_items or not self._commits:
            self._early_words[words.item_id] = words
            while len(self._early_words) > MAX_ITEMS:
                del self._early_words[next(iter(self._early_words))]
            return ()
        # A server that does not say that it has committed: the words are of what was committed first.
        self._commits -= 1
        return (*self._know(words.item_id, words.at_s), words)

    # --- errors ---

    def _error(self, event: ErrorEvent, at_s: float) -> Events:
        event_id = event.error.event_id or ""
        number = event_id.removeprefix(REPLY_EVENT_ID)
        if event_id.startswith(REPLY_EVENT_ID) and number.isascii() and number.isdigit():
            return self._refused(int(number), event, at_s)
        if event.error.code not in ENDS_THE_ENGINE:
            log.warning("the engine reports: %s (%s)", event.error.message or "nothing", event.error.code)
        return ()

    def _refused(self, reply: int, event: ErrorEvent, at_s: float) -> Events:
        if reply in self._adopted:
            return ()  # it was begun by the server, which then had no use for the question
        self._asked = [asked for asked in self._asked if asked != reply]
        return (ev.ReplyRefused(at_s, reply, event.error.message or "the engine gave no reason"),)


def _failure(event: ResponseDone) -> str:
    if event.response.status != "failed":
        return ""
    details = event.response.status_details
    error = details.error if details is not None else None
    return error.message if error is not None and error.message else "the engine gave no reason"
