"""One response: the model's events become GA events, in GA's order, and nothing after `response.done`.

Order, as GA has it: response.created · response.output_item.added · conversation.item.added ·
response.content_part.added · deltas · response.output_audio.done · response.output_audio_transcript.done ·
response.content_part.done · conversation.item.done · response.output_item.done · response.done. A response that is
cancelled before it has said anything has no item: response.created · response.done. Owned by the model thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from model.conversation.events import ReplyDone, SpeechDelta, TextDelta
from model.realtime.client_events import Part, encode_base64
from model.realtime.config import SPEECH_RATE_HZ, ReplyRequest
from model.realtime.contract import ReplyEvents, Samples
from model.realtime.records import Record, Records
from model.realtime.server_events import (
    ContentPartAdded,
    ContentPartDone,
    ConversationItemAdded,
    ConversationItemDone,
    OutputAudioDelta,
    OutputAudioDone,
    OutputItemAdded,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    OutputTranscriptDelta,
    OutputTranscriptDone,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    ServerEvent,
    StatusDetails,
    TokenDetails,
    TranscriptionError,
    Usage,
)
from model.realtime.turn import TurnInput

FRAME_MS = 80
"""One codec frame."""

Reason = Literal["turn_detected", "client_cancelled", "max_output_tokens"]


class LiveReply:
    """A response from `response.created` to `response.done`."""

    def __init__(
        self,
        response_id: str,
        item_id: str,
        request: ReplyRequest,
        records: Records,
        send: Callable[[ServerEvent], None],
    ) -> None:
        self.response_id = response_id
        self.item_id = item_id
        self.request = request
        self.answered: list[TurnInput] = []
        """The user's inputs that this reply answers; they are open again when the reply is taken back."""
        self.instructions_handle: int | None = None
        """This reply's own instructions, which the model forgets after it."""
        self.n_input_tokens = 0
        self.events: ReplyEvents | None = None
        self.begun = False
        """The model has been asked for it."""
        self.done = False
        self.completed = False
        self.previous: LiveReply | None = None
        """The reply before, which is the newest again when this one is taken back."""
        self.record: Record | None = None
        self.n_samples = 0
        self._first_sound_s: float | None = None
        self._records = records
        self._send = send
        self._text = ""
        self._previous_id: str | None = None
        send(ResponseCreated(self._response("in_progress")))

    @property
    def text(self) -> str:
        return self._text

    @property
    def audio_ms(self) -> int:
        return self.n_samples * 1000 // SPEECH_RATE_HZ

    def lead_s(self, now_s: float) -> float:
        """Seconds of speech that were sent and, played from the first sample on, have not been heard at `now_s`."""
        if self._first_sound_s is None:
            return 0.0
        return self.n_samples / SPEECH_RATE_HZ - (now_s - self._first_sound_s)

    def begin(self, events: ReplyEvents) -> None:
        self.begun = True
        self.events = events

    def advance(self, now_s: float) -> None:
        """One step of the model; the last one sends `response.done`."""
        assert self.events is not None
        event = next(self.events, None)
        if isinstance(event, TextDelta):
            self._text_delta(event)
        elif isinstance(event, SpeechDelta):
            if self._first_sound_s is None:
                self._first_sound_s = now_s
            self._speech_delta(event.samples)
        else:
            self.stop()
            self._end(event)

    def stop(self) -> None:
        """Ends the model's part, which frees the session for other calls."""
        events, self.events = self.events, None
        if events is not None:
            events.close()

    def _end(self, event: ReplyDone | None) -> None:
        if event is None:
            self.finish("completed")
            return
        stats = event.stats
        n_output = stats.n_text_tokens + stats.n_frames
        usage = Usage(
            total_tokens=self.n_input_tokens + n_output,
            input_tokens=self.n_input_tokens,
            output_tokens=n_output,
            output_token_details=TokenDetails(stats.n_text_tokens, stats.n_frames),
        )
        if "length" in (stats.stop, stats.speech_stop):
            self.finish("incomplete", "max_output_tokens", usage=usage)
        else:
            self.finish("completed", usage=usage)

    def _text_delta(self, delta: TextDelta) -> None:
        self._open()
        self._text += delta.text
        if self.request.speech:
            audio_ms = delta.frame * FRAME_MS
            self._send(OutputTranscriptDelta(self.response_id, self.item_id, delta.text, audio_ms=audio_ms))
        else:
            self._send(OutputTextDelta(self.response_id, self.item_id, delta.text))

    def _speech_delta(self, pcm: Samples) -> None:
        self._open()
        self.n_samples += len(pcm)
        self._send(OutputAudioDelta(self.response_id, self.item_id, encode_base64(to_pcm16(pcm))))

    def finish(
        self,
        status: ResponseStatus,
        reason: Reason | None = None,
        error: TranscriptionError | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Sends the closing events; later calls do nothing."""
        if self.done:
            return
        if status in ("completed", "incomplete"):
            self._open()
        self.done = True
        self.completed = status == "completed"
        if self.record is not None:
            self._close_item(self.record, "completed" if status == "completed" else "incomplete")
        details = None
        if status != "in_progress" and (status != "completed" or reason or error):
            details = StatusDetails(status, reason, error)
        self._send(ResponseDone(replace(self._response(status), status_details=details, usage=usage or Usage())))

    def cut(self, text: str) -> None:
        """The conversation now holds only `text` of this reply."""
        self._text = text
        if self.record is not None:
            self.record.status = "incomplete"
            self.record.content = (self._item_part(),)

    def _open(self) -> None:
        """Announces the item, when the first thing has been said."""
        if self.record is not None:
            return
        self.record = Record(self.item_id, "assistant", (), "in_progress")
        self._previous_id = self._records.add(self.record)
        self._send(OutputItemAdded(self.response_id, self.record.wire()))
        self._send(ConversationItemAdded(self.record.wire(), self._previous_id))
        self._send(ContentPartAdded(self.response_id, self.item_id, self._content_part()))

    def _close_item(self, record: Record, status: Literal["completed", "incomplete"]) -> None:
        record.status = status
        record.content = (self._item_part(),)
        if self.request.speech:
            self._send(OutputAudioDone(self.response_id, self.item_id))
            self._send(OutputTranscriptDone(self.response_id, self.item_id, self._text))
        else:
            self._send(OutputTextDone(self.response_id, self.item_id, self._text))
        self._send(ContentPartDone(self.response_id, self.item_id, self._content_part()))
        self._send(ConversationItemDone(record.wire(), self._previous_id))
        self._send(OutputItemDone(self.response_id, record.wire()))

    def _content_part(self) -> Part:
        """The part as the response's events name it."""
        return Part("audio", transcript=self._text) if self.request.speech else Part("text", text=self._text)

    def _item_part(self) -> Part:
        """The part as the conversation's items name it."""
        if self.request.speech:
            return Part("output_audio", transcript=self._text)
        return Part("output_text", text=self._text)

    def _response(self, status: ResponseStatus) -> Response:
        return Response(
            self.response_id,
            status,
            () if self.record is None else (self.record.wire(),),
            ("audio",) if self.request.speech else ("text",),
            "inf" if self.request.max_tokens is None else self.request.max_tokens,
            metadata=self.request.metadata,
        )


def to_pcm16(pcm: Samples) -> bytes:
    """Little-endian 16-bit samples of float32 in -1..1; louder is clipped."""
    scaled = np.clip(np.rint(pcm * 32767.0), -32768, 32767)
    return bytes(scaled.astype("<i2").tobytes())


def from_pcm16(data: bytes) -> Samples:
    """float32 in -1..1 of little-endian 16-bit samples."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768.0)
