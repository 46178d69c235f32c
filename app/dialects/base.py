"""The seam between the app's one way of speaking and a server's: GA of OpenAI's Realtime protocol, as others vary it.

The app says `ClientEvent`s; a dialect turns each into the messages that its server takes (none, one or several). What
the server says is turned into GA's events before it is read. A dialect belongs to one connection and lives on its
thread; `say` is called there, too, so nothing in it needs a lock.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import soxr

from app.dialects.abilities import Abilities
from app.engine.target import Target, with_query
from model.realtime.client_events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputImageBufferAppend,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
)
from model.realtime.codec import encode

Json = dict[str, Any]

APP_RATE_HZ = 16_000
"""Of the sound that the app sends."""
SPEECH_RATE_HZ = 24_000
"""Of the speech that the app plays."""

OLDER_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "conversation.item.created": "conversation.item.added",
}
"""OpenAI's beta names, which many servers kept."""

RATE_LIMIT_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error", "Throttling.RateQuota", "too_many_requests"})
MAX_WAITS = 3
"""So often a reply is asked for again after a rate limit; then it has failed."""
DEFAULT_WAIT_S = 10.0
MAX_WAIT_S = 60.0


class Dialect:
    """OpenAI's GA events. Subclasses override what differs."""

    key: ClassVar[str] = "ga"
    name: ClassVar[str] = "a Realtime server"
    input_rate_hz: ClassVar[int] = 24_000
    default_model: ClassVar[str] = ""
    transcription_model: ClassVar[str] = ""
    abilities: ClassVar[Abilities] = Abilities()
    voices: ClassVar[tuple[str, ...]] = ()
    end_silence_s: ClassVar[float] = 1.0
    """What a server that finds the end of a turn by itself has to hear before it does."""
    hears_turns: ClassVar[bool] = True
    """A server that tells where speech begins also ends the turn, and answers it, by itself."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.server_turns = False
        """The server ends the user's turns and begins replies by itself."""
        self._resampler: soxr.ResampleStream | None = None
        self._instructions = ""
        self._spoken = False
        """The newest input is sound: a server that finds turns will answer it by itself."""
        self._notes: list[str] = []
        self._noted: set[str] = set()
        self._later: list[tuple[float, Json]] = []
        self._made: list[Json] = []
        self._asked: Json | None = None
        self._waits = 0
        self._renamed: dict[str, str] = {}
        self._renaming: str | None = None
        self._speech_rate_hz = SPEECH_RATE_HZ
        self._speech: tuple[str, soxr.ResampleStream] | None = None

    # --- the connection ---

    def address(self) -> str:
        """Where to connect to."""
        url = with_query(self.target.url, self.target.query)
        model = self.target.model or self.default_model
        return with_query(url, (("model", model),)) if model else url

    def headers(self) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self.target.token}"} if self.target.token else {}
        return {**token, **dict(self.target.headers)}

    def opening(self) -> list[Json]:
        """What is said before the server has said anything."""
        return []

    def is_ready(self, event: Json) -> bool:
        """Whether this event begins the session."""
        return bool(event["type"] == "session.created")

    def abilities_of(self, session: Json) -> Abilities:
        """As the session's first object says, where it says anything."""
        return self.abilities

    def ends_at(self, session: Json) -> float | None:
        """When the session's time will be up, in seconds since 1970, where its object says it."""
        at_s = session.get("expires_at")
        return float(at_s) if isinstance(at_s, int | float) and not isinstance(at_s, bool) else None

    def closing(self) -> list[Json]:
        """What is said before the connection is closed."""
        return []

    # --- what it told or wants besides events ---

    def note(self, text: str) -> None:
        """Something to tell the user, once."""
        if text not in self._noted:
            self._noted.add(text)
            self._notes.append(text)

    def cannot(self, what: str) -> list[Json]:
        """Nothing is sent, and the user is told once why not."""
        self.note(f"This engine ({self.name}) {what}.")
        return []

    def refuse(self, ask: Json, why: str) -> list[Json]:
        """The reply that this asks for cannot be had: the app is told at once instead of waiting for it."""
        self._made.append({"type": "error", "error": {"message": why, "event_id": ask.get("event_id")}})
        return []

    def take_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes

    def take_later(self) -> list[tuple[float, Json]]:
        """Messages for the server that follow from what it said, and after how many seconds each."""
        later, self._later = self._later, []
        return later

    def take_made(self) -> list[Json]:
        """Events for the app that follow from what it said, in GA's form."""
        made, self._made = self._made, []
        return made

    # --- from the app to the server ---

    def say(self, event: ClientEvent) -> list[Json]:
        """The messages that stand for this event."""
        match event:
            case SessionUpdate():
                self._instructions = event.session.instructions or self._instructions
                return self.session(encode(event))
            case InputAudioBufferAppend():
                self._spoken = True
                return self.sound(self.resampled(base64.b64decode(event.audio)))
            case InputImageBufferAppend():
                return self.picture(event.image)
            case InputAudioBufferCommit():
                return [*self._rest(), *(self.end_of_turn() if self.server_turns else self.commit())]
            case InputAudioBufferClear():
                self._resampler = None
                return self.clear()
            case ConversationItemCreate():
                self._spoken = False
                create = encode(event)
                if event.item.type != "message":
                    create["item"].pop("content", None)
                return self.item(create)
            case ConversationItemTruncate():
                return self.truncate(encode(event))
            case ResponseCreate():
                if self.server_turns and self._spoken:
                    self._spoken = False
                    return []  # it has begun, or will, when it finds the end of the turn
                self._asked, self._waits = encode(event), 0
                return self.ask(encode(event))
            case ResponseCancel():
                self._asked = None
                return self.cancel(encode(event))
            case _:
                return self.other(encode(event))

    def session(self, update: Json) -> list[Json]:
        """The app's session object, in GA's form, with this server's rate."""
        audio = update["session"].setdefault("audio", {})
        into = audio.setdefault("input", {})
        into["format"] = {"type": "audio/pcm", "rate": self.input_rate_hz}
        audio.setdefault("output", {})["format"] = {"type": "audio/pcm", "rate": SPEECH_RATE_HZ}
        if into.get("transcription") is not None and self.transcription_model:
            into["transcription"]["model"] = self.transcription_model
        return [update]

    def sound(self, pcm: bytes) -> list[Json]:
        """`pcm`: 16-bit mono at `input_rate_hz`."""
        return [{"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()}] if pcm else []

    def picture(self, jpeg: str) -> list[Json]:
        """`jpeg`: base64. GA has no picture among the sound: it becomes an item of its own before it."""
        return [image_item(jpeg)]

    def commit(self) -> list[Json]:
        return [{"type": "input_audio_buffer.commit"}]

    def end_of_turn(self) -> list[Json]:
        """For a server that listens for the end of a turn: the silence that ends it."""
        return self.sound(bytes(2 * round(self.input_rate_hz * self.end_silence_s)))

    def clear(self) -> list[Json]:
        return [{"type": "input_audio_buffer.clear"}]

    def item(self, create: Json) -> list[Json]:
        return [create]

    def truncate(self, truncate: Json) -> list[Json]:
        return [truncate]

    def ask(self, create: Json) -> list[Json]:
        return [create]

    def cancel(self, cancel: Json) -> list[Json]:
        return [cancel]

    def other(self, message: Json) -> list[Json]:
        return [message]

    # --- from the server to the app ---

    def hear(self, event: Json) -> list[Json]:
        """GA's events for what the server said; `event` has a `type` text."""
        event = {**event, "type": OLDER_NAMES.get(event["type"], event["type"])}
        if event["type"] in ("session.created", "session.updated"):
            self._look_at_session(event)
        elif event["type"] == "input_audio_buffer.speech_started":
            self.server_turns = self.server_turns or self.hears_turns  # whatever its session says
        if self._has_to_wait(event) or not self._rename(event):
            return []
        if event["type"] == "response.output_audio.delta" and self._speech_rate_hz != SPEECH_RATE_HZ:
            event["delta"] = self._at_our_rate(event)
        return [event]

    def _look_at_session(self, event: Json) -> None:
        """The rate of the server's speech, and whether it lets the app find the turns, as it was asked to."""
        rate_hz = found(event, "session", "audio", "output", "format", "rate")
        if isinstance(rate_hz, int) and not isinstance(rate_hz, bool) and 8_000 <= rate_hz <= 192_000:
            self._speech_rate_hz = rate_hz
        if event["type"] != "session.updated":
            return
        for place in (found(event, "session", "audio", "input"), event.get("session")):
            if isinstance(place, dict) and "turn_detection" in place:
                self.server_turns = isinstance(place["turn_detection"], dict)
                return

    def _has_to_wait(self, event: Json) -> bool:
        """A reply that failed by a rate limit is asked for again when the server says; the app does not see the end."""
        response = event.get("response")
        if event["type"] != "response.done" or not isinstance(response, dict) or response.get("status") != "failed":
            return False
        error = found(response, "status_details", "error")
        if not isinstance(error, dict) or error.get("code") not in RATE_LIMIT_CODES:
            return False
        if self._asked is None or self._waits >= MAX_WAITS:
            return False
        wait_s = wait_of(error.get("message"))
        self._waits += 1
        self._later.append((wait_s, self._asked))
        self._renaming = response.get("id") if isinstance(response.get("id"), str) else None
        self.note(f"The engine's service is at its rate limit; the answer comes in about {wait_s:.0f} s.")
        return True

    def _rename(self, event: Json) -> bool:
        """A reply that was asked for twice goes on under its first id. False: the app knows this event already."""
        response = event.get("response")
        of_response = response.get("id") if isinstance(response, dict) else None
        if event["type"] == "response.created" and self._renaming is not None and isinstance(of_response, str):
            self._renamed = {of_response: self._renamed.get(self._renaming, self._renaming)}
            self._renaming = None
            return False
        if self._renamed:
            if isinstance(response, dict) and of_response in self._renamed:
                event["response"] = {**response, "id": self._renamed[of_response]}
            if event.get("response_id") in self._renamed:
                event["response_id"] = self._renamed[event["response_id"]]
        return True

    # --- sound ---

    def resampled(self, pcm: bytes) -> bytes:
        """The app's pcm16 at this server's rate; what the filter holds back comes with the commit."""
        if self.input_rate_hz == APP_RATE_HZ:
            return pcm
        if self._resampler is None:
            self._resampler = soxr.ResampleStream(APP_RATE_HZ, self.input_rate_hz, 1, dtype="int16")
        made: bytes = self._resampler.resample_chunk(np.frombuffer(pcm, dtype="<i2")).astype("<i2").tobytes()
        return made

    def _at_our_rate(self, event: Json) -> str:
        """The delta's speech at 24 kHz; a reply is one stream of sound."""
        reply = str(event.get("response_id"))
        if self._speech is None or self._speech[0] != reply:
            self._speech = (reply, soxr.ResampleStream(self._speech_rate_hz, SPEECH_RATE_HZ, 1, dtype="int16"))
        try:
            pcm = base64.b64decode(str(event.get("delta")))
        except ValueError:
            return ""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")
        return base64.b64encode(self._speech[1].resample_chunk(samples).astype("<i2").tobytes()).decode()

    def _rest(self) -> list[Json]:
        resampler, self._resampler = self._resampler, None
        if resampler is None:
            return []
        rest = resampler.resample_chunk(np.zeros(0, np.int16), last=True)
        return self.sound(rest.astype("<i2").tobytes())


Make = Callable[[Target], Dialect]


def found(data: object, *path: str) -> Any:
    """What stands at this path of JSON objects; None when there is nothing."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def image_item(jpeg: str) -> Json:
    part = {"type": "input_image", "image_url": f"data:image/jpeg;base64,{jpeg}"}
    return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [part]}}


def item_text(item: Json) -> str:
    """The text of an item's parts."""
    content = item.get("content")
    texts = [part.get("text") for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "\n".join(text for text in texts if isinstance(text, str))


def wait_of(message: object) -> float:
    """The seconds that a rate limit's message names ("Please try again in 1.5s", "in 300ms"), within bounds."""
    found = re.search(r"(\d+(?:\.\d+)?)\s*(ms|s\b|sec|m\b|min)", message) if isinstance(message, str) else None
    if found is None:
        return DEFAULT_WAIT_S
    unit_s = {"ms": 0.001, "s": 1.0, "sec": 1.0}.get(found.group(2), 60.0)
    return min(MAX_WAIT_S, float(found.group(1)) * unit_s)
