"""One response: the model's events become GA events, in GA's order, and nothing after `response.done`.

Order, as GA has it: response.created · response.output_item.added · conversation.item.added ·
response.content_part.added · deltas · response.output_audio.done · response.output_audio_transcript.done ·
response.content_part.done · conversation.item.done · response.output_item.done · (for each call of a tool:
response.output_item.added · conversation.item.added · response.function_call_arguments.delta and .done ·
conversation.item.done · response.output_item.done) · response.done. A response that is cancelled before it has said
anything has no item: response.created · response.done. Owned by the model thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from model.conversation.events import CallMade, ReplyDone, SpeechDelta, TextDelta
from model.realtime.client_events import ContentPart, Item, encode_base64
from model.realtime.config import SPEECH_RATE_HZ, ReplyRequest
from model.realtime.contract import ReplyEvents, Samples, SpeakingSession
from model.realtime.pcm import to_pcm16, without_tick
from model.realtime.records import Record, Records
from model.realtime.server_events import (
    ContentPartAdded,
    ContentPartDone,
    ConversationItemAdded,
    ConversationItemDone,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
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
NewId = Callable[[str], str]


class LiveReply:
    """A response from `response.created` to `response.done`."""

    def __init__(
        self, request: ReplyRequest, records: Records, send: Callable[[ServerEvent], None], new_id: NewId
    ) -> None:
        self.response_id = new_id("resp")
        self.item_id = new_id("item")
        """Of its (first) message."""
        self.request = request
        self.answered: list[TurnInput] = []
        """The user's inputs that this reply answers; they are open again when the reply is taken back."""
        self.instructions_handle: int | None = None
        """This reply's own instructions, which the model forgets after it."""
        self.session: SpeakingSession | None = None
        """Of a response outside of the conversation: a session of its own, which ends with it."""
        self.n_input_tokens = 0
        self.events: ReplyEvents | None = None
        self.begun = False
        """The model has been asked for it."""
        self.ended: ReplyDone | None = None
        """The model has said everything; `conclude` sends the closing events."""
        self.done = False
        self.completed = False
        self.previous: LiveReply | None = None
        """The reply before, which is the newest again when this one is taken back."""
        self.record: Record | None = None
        """Of the first item."""
        self.n_samples = 0
        self._message: Record | None = None
        """The message that is being said."""
        self._output: list[Record] = []
        self._letters_heard: Callable[[float], int] | None = None
        self._handle: int | None = None
        self._first_sound_s: float | None = None
        self._records = records
        self._send = send
        self._new_id = new_id
        self._text = ""
        send(ResponseCreated(self._response("in_progress")))

    @property
    def text(self) -> str:
        """Of the message."""
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
        self._letters_heard, self._handle = events.letters_heard, events.item

    def advance(self, now_s: float) -> None:
        """One step of the model; after the last one `ended` is set."""
        assert self.events is not None
        event = next(self.events, None)
        if isinstance(event, TextDelta):
            self._text_delta(event)
        elif isinstance(event, SpeechDelta):
            if self._first_sound_s is None:
                self._first_sound_s = now_s
            self._speech_delta(event.samples)
        elif isinstance(event, CallMade):
            self._call(event)
        else:
            self.stop()
            self.ended = event
            if event is None:
                self.finish("completed")

    def stop(self) -> None:
        """Ends the model's part, which frees the session for other calls."""
        events, self.events = self.events, None
        if events is not None:
            events.close()

    def conclude(self) -> None:
        """Sends `response.done` of a reply that has come to its end."""
        assert self.ended is not None
        stats = self.ended.stats
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
        if status in ("completed", "incomplete") and not self._output:
            self._open()
        self.done = True
        self.completed = status == "completed"
        self._close_message("completed" if status == "completed" else "incomplete")
        details = None
        if status != "in_progress" and (status != "completed" or reason or error):
            details = StatusDetails(status, reason, error)
        self._send(ResponseDone(replace(self._response(status), status_details=details, usage=usage or Usage())))

    def cut(self, text: str) -> None:
        """The conversation now holds only `text` of this reply."""
        self._text = text
        if self.record is not None and self.record.kind == "message":
            self.record.status = "incomplete"
            self.record.content = (self._item_part(),)

    # --- the message -------------------------------------------------------------------------------------------------

    def _text_delta(self, delta: TextDelta) -> None:
        item_id, index = self._open()
        self._text += delta.text
        if self.request.speech:
            audio_ms = delta.frame * FRAME_MS
            self._send(OutputTranscriptDelta(self.response_id, item_id, delta.text, audio_ms, index))
        else:
            self._send(OutputTextDelta(self.response_id, item_id, delta.text, index))

    def _speech_delta(self, pcm: Samples) -> None:
        item_id, index = self._open()
        pcm = without_tick(pcm, self.n_samples)
        self.n_samples += len(pcm)
        self._send(OutputAudioDelta(self.response_id, item_id, encode_base64(to_pcm16(pcm)), index))

    def _open(self) -> tuple[str, int]:
        """Announces a message, when the first thing of it has been said; returns its id and its place in the output."""
        if self._message is None:
            self._text = ""
            item_id = self.item_id if not any(part.kind == "message" for part in self._output) else self._new_id("item")
            self._message = Record(item_id, "assistant", (), "in_progress")
            self._add(self._message)
            self._send(
                ContentPartAdded(self.response_id, item_id, self._content_part(), len(self._output) - 1)
            )  # fmt: skip
        return self._message.id, len(self._output) - 1

    def _add(self, record: Record) -> None:
        if self._handle is not None and self.request.in_conversation and not self._output:
            record.handles = [self._handle]
        if record.kind == "message":
            record.letters_heard = self._letters_heard if self.request.speech else None
        if self.record is None:
            self.record = record
        self._output.append(record)
        self._send(OutputItemAdded(self.response_id, record.wire(), len(self._output) - 1))
        if self.request.in_conversation:
            self._send(ConversationItemAdded(record.wire(), self._records.add(record)))

    def _close_message(self, status: Literal["completed", "incomplete"]) -> None:
        record, self._message = self._message, None
        if record is None:
            return
        record.status = status
        record.content = (self._item_part(),)
        record.audio_ms = self.audio_ms
        index = self._output.index(record)
        if self.request.speech:
            self._send(OutputAudioDone(self.response_id, record.id, index))
            self._send(OutputTranscriptDone(self.response_id, record.id, self._text, index))
        else:
            self._send(OutputTextDone(self.response_id, record.id, self._text, index))
        self._send(ContentPartDone(self.response_id, record.id, self._content_part(), index))
        self._item_done(record)

    def _item_done(self, record: Record) -> None:
        if record.id in self._records:
            self._send(ConversationItemDone(record.wire(), self._records.before(record.id)))
        self._send(OutputItemDone(self.response_id, record.wire(), self._output.index(record)))

    # --- calls -------------------------------------------------------------------------------------------------------

    def _call(self, call: CallMade) -> None:
        """A complete call; clients act on its end, so that its arguments come in one piece."""
        self._close_message("completed")
        record = Record(
            self._new_id("item"), "assistant", (), "in_progress", kind="function_call", call_id=self._new_id("call")
        )
        record.name = call.name
        self._add(record)
        index = len(self._output) - 1
        record.arguments, record.status = call.arguments, "completed"
        ids = self.response_id, record.id, record.call_id
        self._send(FunctionCallArgumentsDelta(*ids, call.arguments, index))
        self._send(FunctionCallArgumentsDone(*ids, call.name, call.arguments, index))
        self._item_done(record)

    # --- shapes ------------------------------------------------------------------------------------------------------

    def _content_part(self) -> ContentPart:
        """The part as the response's events name it."""
        return (
            ContentPart("audio", transcript=self._text) if self.request.speech else ContentPart("text", text=self._text)
        )

    def _item_part(self) -> ContentPart:
        """The part as the conversation's items name it."""
        if self.request.speech:
            return ContentPart("output_audio", transcript=self._text)
        return ContentPart("output_text", text=self._text)

    def _response(self, status: ResponseStatus) -> Response:
        output: tuple[Item, ...] = tuple(record.wire() for record in self._output)
        return Response(
            self.response_id,
            status,
            output,
            ("audio",) if self.request.speech else ("text",),
            "inf" if self.request.max_tokens is None else self.request.max_tokens,
            metadata=self.request.metadata,
        )
