"""One client's conversation: client events in, work on the model, server events out.

Lives on the model thread, which calls `handle` for everything that the client has sent and then `work` for one piece of
work at a time (a step of the reply, a piece of sound to prefill), so that a cancellation waits for one step at most.
While a reply is being made the model takes nothing else: what arrives is kept in the open turn and prefilled after it.

It is one long module on purpose: every client event touches the same four things (open turn, newest reply, records,
model session), and the order in which they are touched is what has to be read in one place.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from model.conversation.schedule import Claim
from model.realtime import config as configs
from model.realtime.client_events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputImageBufferAppend,
    Part,
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    SessionUpdate,
    WireError,
    decode_base64,
)
from model.realtime.config import Abilities
from model.realtime.contract import Samples, SpeakingModel, SpeakingSession, VoiceDetectorFactory
from model.realtime.items import check_id, decode_pcm16, read_item
from model.realtime.pictures import decode_picture
from model.realtime.records import Record, Records
from model.realtime.reply import LiveReply, Reason, from_pcm16
from model.realtime.server_events import (
    ConversationItemAdded,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    ErrorEvent,
    EventError,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptionError,
)
from model.realtime.transcripts import QUIET_S, Transcripts
from model.realtime.turn import MAX_BUFFER_S, OpenTurn, TurnInput
from model.realtime.vad import SpeechBegins, SpeechContinues, TurnFinder

log = logging.getLogger(__name__)

MIN_COMMIT_MS = 100
"""GA's least sound in a commit."""

TRUNCATE_SLACK_MS = 80
"""A client that rounds up may name a little more than was spoken: one codec frame."""


class LiveSession:
    """Protocol state of one client. Owned by the model thread."""

    def __init__(
        self,
        model: SpeakingModel,
        abilities: Abilities,
        send: Callable[[ServerEvent], None],
        drop_speech: Callable[[str], None],
        make_detector: VoiceDetectorFactory | None,
        session_id: str,
    ) -> None:
        self.config = configs.initial(abilities)
        self.records = Records()
        self.turn = OpenTurn()
        self.last_reply: LiveReply | None = None
        """The newest reply, running or finished; the only one that can be cut."""
        self.send = send
        self._model = model
        self._abilities = abilities
        self._drop_speech = drop_speech
        self._make_detector = make_detector
        self._session_id = session_id
        self._numbers = count(1)
        self._turns: TurnFinder | None = None
        self._vad_start_ms = 0
        self._reply_when_free = False
        """A turn that was found here waits for its reply; one that must not be interrupted may be going on."""
        self._renew_session = False
        self.transcripts = Transcripts(send)
        self._n_positions = 0
        """Positions that were in use after the last reply; what came since is a response's input."""
        self.session: SpeakingSession = model.open_session(self.config.instructions, self.config.voice or None)
        self._new_turn_finder()
        send(SessionCreated(configs.to_wire(self.config, session_id, abilities)))

    # --- events ------------------------------------------------------------------------------------------------------

    def handle(self, event: ClientEvent | WireError) -> None:
        """Serves one client event; a mistake in it becomes an `error` event."""
        if isinstance(event, WireError):
            self.complain(event, event.event_id)
            return
        try:
            self._dispatch(event)
        except WireError as mistake:
            self.complain(mistake, event.event_id)
        except ValueError as error:  # the model refuses it
            self.complain(WireError("invalid_input", str(error)), event.event_id)

    def complain(self, mistake: WireError, event_id: str | None, kind: str = "invalid_request_error") -> None:
        self.send(ErrorEvent(EventError(str(mistake), kind, mistake.code, mistake.param, event_id)))

    def _dispatch(self, event: ClientEvent) -> None:
        match event:
            case InputAudioBufferAppend():
                self._append(event)
            case InputImageBufferAppend():
                self._append_image(event)
            case InputAudioBufferCommit():
                self._commit()
            case InputAudioBufferClear():
                self._clear()
            case SessionUpdate():
                self._update(event)
            case ConversationItemCreate():
                self._create_item(event)
            case ConversationItemTruncate():
                self._truncate(event)
            case ConversationItemDelete():
                self._delete(event.item_id)
            case ConversationItemRetrieve():
                self.send(ConversationItemRetrieved(self._record(event.item_id).wire()))
            case ResponseCreate():
                self._create_response(event.response or ResponseConfig())
            case ResponseCancel():
                self._cancel_asked(event.response_id)

    # --- the input buffer --------------------------------------------------------------------------------------------

    def _buffer(self) -> TurnInput:
        """The open input; a new one when there is none."""
        if self.turn.buffer is None:
            self.turn.inputs.append(TurnInput(self._new_id("item")))
        assert self.turn.buffer is not None
        return self.turn.buffer

    def _append(self, event: InputAudioBufferAppend) -> None:
        pcm = from_pcm16(decode_pcm16(event.audio, "audio"))
        if not len(pcm):
            return
        if self._turns is None:
            self._buffer().hear(pcm, self.config.input_rate_hz)
        else:
            self._find_turns(self._turns, pcm)

    def _find_turns(self, turns: TurnFinder, pcm: Samples) -> None:
        detection = self.config.turn_detection
        assert detection is not None
        for found in turns.push(pcm):
            if isinstance(found, SpeechBegins):
                if detection.interrupt_response and self.active_reply is not None:
                    self._cancel(self.active_reply, "turn_detected")
                self._vad_start_ms = found.at_ms
                self._buffer().hear(found.pcm, self.config.input_rate_hz)
                self.send(SpeechStarted(found.at_ms, self._buffer().item_id))
            elif isinstance(found, SpeechContinues):
                self._buffer().hear(found.pcm, self.config.input_rate_hz)
            else:
                self.send(SpeechStopped(found.at_ms, self._buffer().item_id))
                self._commit()
                self._reply_when_free = detection.create_response

    def _append_image(self, event: InputImageBufferAppend) -> None:
        data = decode_base64(event.image, "image")
        decode_picture(data, "image")
        if self._turns is not None:
            self._append_image_between_turns(self._turns, data)
            return
        buffer = self._buffer()
        at_s = buffer.sound_s if event.at_ms is None else event.at_ms / 1000
        if not 0 <= at_s <= MAX_BUFFER_S:
            raise WireError(
                "invalid_value", f"at_ms: expected 0 to {MAX_BUFFER_S * 1000:.0f}, got {event.at_ms}.", "at_ms"
            )
        buffer.see(data, at_s)

    def _append_image_between_turns(self, turns: TurnFinder, data: bytes) -> None:
        """With turn detection a picture belongs to the sound that it came with; before speech the newest one waits."""
        if turns.speaking:
            self._buffer().see(data, max(0.0, (turns.now_ms - self._vad_start_ms) / 1000))
            return
        self.turn.take_back_buffer(self.session)
        buffer = self._buffer()
        buffer.drop_pictures()
        buffer.see(data, 0.0)

    def _commit(self) -> None:
        buffer = self.turn.buffer
        sound_ms = round(buffer.sound_s * 1000) if buffer is not None else 0
        if buffer is None or (sound_ms < MIN_COMMIT_MS and not (sound_ms == 0 and buffer.n_pictures)):
            raise WireError(
                "input_audio_buffer_commit_empty",
                f"Nothing to commit: the buffer holds {sound_ms} ms of sound, {MIN_COMMIT_MS} ms are needed.",
            )
        sound = (Part("input_audio"),) if buffer.sound_s else ()
        record = Record(buffer.item_id, "user", sound + (Part("input_image"),) * buffer.n_pictures)
        record.handles = buffer.handles
        self.turn.close(buffer)
        if self._turns is not None:
            self._turns.end_turn()
        previous = self.records.add(record)
        self.send(InputAudioBufferCommitted(record.id, previous))
        self._announce(record, previous)
        if buffer.sound_s and self.config.transcription is not None:
            self.transcripts.want(record.id, buffer.sound_s)

    def _clear(self) -> None:
        self.turn.take_back_buffer(self.session)
        if self.turn.buffer is not None:
            self.turn.inputs.pop()
        if self._turns is not None:
            self._turns.end_turn()
        self.send(InputAudioBufferCleared())

    def _new_turn_finder(self) -> None:
        self._turns = None
        if self.config.turn_detection is not None and self._make_detector is not None:
            rate_hz = self.config.input_rate_hz
            self._turns = TurnFinder(self.config.turn_detection, self._make_detector(rate_hz), rate_hz)

    # --- configuration and items -------------------------------------------------------------------------------------

    def _update(self, event: SessionUpdate) -> None:
        before = self.config
        self.config = configs.merge(before, event.session, self._abilities)
        if (before.turn_detection, before.input_rate_hz) != (self.config.turn_detection, self.config.input_rate_hz):
            self._new_turn_finder()
        self._renew_session = self._renew_session or before.instructions != self.config.instructions
        if before.voice != self.config.voice:
            self.session.options = replace(self.session.options, voice=self.config.voice)
        self.send(SessionUpdated(configs.to_wire(self.config, self._session_id, self._abilities)))

    def _create_item(self, event: ConversationItemCreate) -> None:
        item_id = self._new_id("item") if event.item.id is None else check_id(event.item.id)
        if item_id in self.records:
            raise WireError("item_already_exists", f"item.id: {item_id!r} is in the conversation already.", "item.id")
        previous_id = event.previous_item_id
        if previous_id not in (None, self.records.last_id) and not (previous_id == "root" and not len(self.records)):
            raise WireError(
                "invalid_value",
                f"previous_item_id: items can be added at the end only (after {self.records.last_id!r}).",
                "previous_item_id",
            )
        record, entry = read_item(event.item, item_id, self.config.input_rate_hz)
        if record.role == "system":
            self._add_system(record)
            return
        record.handles = entry.handles
        self.turn.take_back_buffer(self.session)
        self.turn.close(entry)
        self._announce(record, self.records.add(record))
        if entry.sound_s and self.config.transcription is not None:
            self.transcripts.want(record.id, entry.sound_s)

    def _add_system(self, record: Record) -> None:
        """The model knows one system turn, which comes first: messages of the system are more of its instructions."""
        if any(other.role != "system" for other in self.records) or self.turn.inputs:
            raise WireError(
                "invalid_value",
                "item.role: a system message can only come before the first other message; later, change the session's "
                "instructions with session.update.",
                "item.role",
            )
        self._announce(record, self.records.add(record))
        self._renew_session = True

    def _announce(self, record: Record, previous_id: str | None) -> None:
        self.send(ConversationItemAdded(record.wire(), previous_id))
        self.send(ConversationItemDone(record.wire(), previous_id))

    def _record(self, item_id: str) -> Record:
        record = self.records.get(item_id)
        if record is None:
            raise WireError("item_not_found", f"item_id: no item {item_id[:64]!r} in the conversation.", "item_id")
        return record

    def _delete(self, item_id: str) -> None:
        record = self._record(item_id)
        waiting = next((part for part in self.turn.inputs if part.item_id == item_id), None)
        if self.last_reply is not None and self.last_reply.item_id == item_id:
            self._delete_reply(self.last_reply)
        elif waiting is not None:
            self.turn.remove(waiting, self.session)
        elif record.role == "system":
            self._renew_session = True
        elif record.handles:
            if self.active_reply is not None:
                raise WireError("response_active", "An older item cannot be deleted while a response is being made.")
            for handle in reversed(record.handles):
                self.session.forget(handle)
            if self.last_reply is not None:
                self.last_reply.answered = [part for part in self.last_reply.answered if part.item_id != item_id]
        self.transcripts.forget(item_id)
        self.records.remove(item_id)
        self.send(ConversationItemDeleted(item_id))

    def _delete_reply(self, reply: LiveReply) -> None:
        if not reply.done:
            self._cancel(reply, "client_cancelled")
        if reply is self.last_reply:  # else it had said nothing, and has been undone
            self._undo(reply)

    # --- responses ---------------------------------------------------------------------------------------------------

    @property
    def active_reply(self) -> LiveReply | None:
        """The response between `response.created` and `response.done`."""
        return self.last_reply if self.last_reply is not None and not self.last_reply.done else None

    def _create_response(self, asked: ResponseConfig) -> None:
        if self.active_reply is not None:
            raise WireError(
                "conversation_already_has_active_response",
                f"Response {self.active_reply.response_id} is being made; cancel it or wait for its response.done.",
            )
        request = configs.response_request(asked, self.config)
        self._reply_when_free = False
        reply = LiveReply(self._new_id("resp"), self._new_id("item"), request, self.records, self.send)
        if self.last_reply is not None:
            self.last_reply.previous = None
        reply.previous = self.last_reply
        self.last_reply = reply

    def _cancel_asked(self, response_id: str | None) -> None:
        reply = self.active_reply
        if reply is None or response_id not in (None, reply.response_id):
            raise WireError("response_cancel_not_active", "There is no such response to cancel.", "response_id")
        self._cancel(reply, "client_cancelled")

    def _cancel(self, reply: LiveReply, reason: Reason) -> None:
        """Ends a running response; one that had not said anything leaves no trace."""
        self._drop_speech(reply.response_id)
        reply.stop()
        reply.finish("cancelled", reason)
        if reply.record is None:
            self._undo(reply)
        self._forget_instructions(reply)

    def _truncate(self, event: ConversationItemTruncate) -> None:
        record = self._record(event.item_id)
        reply = self.last_reply
        if record.role != "assistant" or reply is None or reply.item_id != record.id:
            raise WireError("invalid_value", "Only the newest reply can be truncated.", "item_id")
        if not reply.request.speech or event.content_index != 0:
            raise WireError("invalid_value", "The reply has no speech there to truncate.", "content_index")
        if not 0 <= event.audio_end_ms <= reply.audio_ms + TRUNCATE_SLACK_MS:
            raise WireError(
                "invalid_value",
                f"audio_end_ms: expected 0 to {reply.audio_ms} (what was spoken), got {event.audio_end_ms}.",
                "audio_end_ms",
            )
        if not reply.done:
            self._cancel(reply, "client_cancelled")
        if not reply.completed or event.audio_end_ms < reply.audio_ms:
            self.turn.take_back_buffer(self.session)
            reply.cut(self.session.interrupt(heard_ms=event.audio_end_ms))
            if not reply.text:
                self._reopen(reply)
        self.send(ConversationItemTruncated(record.id, event.audio_end_ms, transcript=reply.text))

    def _undo(self, reply: LiveReply) -> None:
        """As if the reply had never been: the user's turn is open again."""
        self.turn.take_back_buffer(self.session)
        if reply.begun:
            self.session.interrupt(heard_ms=0)
        reply.cut("")
        self._reopen(reply)

    def _reopen(self, reply: LiveReply) -> None:
        self.turn.inputs[:0] = reply.answered
        reply.answered = []
        # The model can shorten its newest reply only, and a reply that it has begun takes the place of the one before.
        self.last_reply = None if reply.begun else reply.previous

    def _forget_instructions(self, reply: LiveReply) -> None:
        """Instructions of one response are no part of the conversation after it."""
        handle, reply.instructions_handle = reply.instructions_handle, None
        if handle is not None:
            with contextlib.suppress(ValueError):  # evicted already
                self.session.forget(handle)

    # --- work --------------------------------------------------------------------------------------------------------

    def claim(self, now_s: float) -> Claim:
        """What this conversation waits for, for the order between conversations."""
        reply = self.active_reply
        is_replying = reply is not None and reply.events is not None
        lead_s = reply.lead_s(now_s) if reply is not None else 0.0
        return Claim(has_input=not is_replying and self.turn.has_news, is_replying=is_replying, lead_s=lead_s)

    def work(self, may_speak: bool, quiet_s: float, now_s: float) -> bool:
        """Does one piece of work; False: there is nothing to do now.

        `may_speak`: the client takes what is sent. `quiet_s`: since it last sent something.
        """
        reply = self.active_reply
        if reply is not None and reply.events is not None:
            if may_speak:
                self._advance(reply, now_s)
            return may_speak
        if reply is None and self._reply_when_free:
            self._reply_when_free = False
            self._create_response(ResponseConfig())
            return True
        if reply is None and self._late_words_wanted():
            self._transcribe()
            return True
        if self._renew_session and (self.turn.inputs or reply is not None):
            self._renew()
            return True
        if reply is not None and self.turn.ready:
            self._start(reply)
            return True
        if self.turn.feed(self.session):
            return True
        if reply is None and self.transcripts.wanted and quiet_s >= QUIET_S and self.turn.buffer is None:
            self._transcribe()
            return True
        return False

    def _late_words_wanted(self) -> bool:
        """A turn has been answered, its words are wanted, and the next turn must not be heard before they are known."""
        return self.transcripts.wants_other_than(part.item_id for part in self.turn.inputs)

    def close(self) -> None:
        """Frees the reply and the session."""
        if self.last_reply is not None:
            self.last_reply.stop()

    def _start(self, reply: LiveReply) -> None:
        self.turn.take_back_buffer(self.session)
        buffer = self.turn.buffer
        reply.answered = [part for part in self.turn.inputs if part is not buffer]
        self.turn.inputs = [] if buffer is None else [buffer]
        self.transcripts.give_up_on_others(part.item_id for part in reply.answered)
        request = reply.request
        try:
            if request.instructions:
                reply.instructions_handle = self.session.read(request.instructions)
            reply.n_input_tokens = max(0, self.session.n_positions - self._n_positions)
            reply.begin(self.session.reply(max_tokens=request.max_tokens, speech=request.speech))
        except ValueError as error:  # there is nothing to reply to, or no room for it
            reply.finish("failed", error=TranscriptionError(str(error), "invalid_request", "invalid_request_error"))
            self._undo(reply)
            self._forget_instructions(reply)

    def _advance(self, reply: LiveReply, now_s: float) -> None:
        reply.advance(now_s)
        if reply.done:
            self._forget_instructions(reply)
            self._n_positions = self.session.n_positions

    def _transcribe(self) -> None:
        inputs = [part for part in self.turn.inputs if part.closed]
        if not inputs and self.last_reply is not None:
            inputs = self.last_reply.answered
        item_id, text = self.transcripts.run(self.session, sum(part.sound_s for part in inputs))
        record = self.records.get(item_id)
        if record is not None:
            record.content = tuple(
                replace(part, transcript=text) if part.type == "input_audio" else part for part in record.content
            )

    def _renew(self) -> None:
        """A session with other instructions that holds the same conversation, what was answered of it as text."""
        self._renew_session = False
        unanswered = {part.item_id for part in self.turn.inputs}
        system = [record.text for record in self.records if record.role == "system"]
        instructions = "\n\n".join([self.config.instructions, *system])
        before = self.session.options.instructions
        del self.session  # a device has room for the caches of one: they go before new ones are made
        refused = self._open_session(instructions)
        if refused:
            self._open_session(before)
        self.turn.give_again()
        self.last_reply = None if self.active_reply is None else self.active_reply
        for record in self.records:
            if record.id in unanswered:
                continue
            record.handles.clear()
            if record.text and record.role != "system":
                record.handles.append(self.session.read(record.text, role=record.role))
        self._n_positions = self.session.n_positions
        if refused:
            raise ValueError(refused)

    def _open_session(self, instructions: str) -> str:
        """Makes the model's session; returns why it refuses, or nothing.

        Not the error itself, whose traceback holds on to what was made of the session.
        """
        try:
            self.session = self._model.open_session(instructions, self.config.voice or None)
        except ValueError as error:
            return str(error)
        return ""

    def model_refused(self, error: ValueError) -> None:
        """The model cannot take what the client sent (too much for its memory, pictures far ahead of the sound)."""
        if self.active_reply is not None and self.active_reply.begun:
            self.model_failed(error)
            return
        self.complain(WireError("invalid_input", str(error)), None)

    def model_failed(self, error: Exception) -> None:
        """The model could not do what was asked; the session goes on."""
        mistake = WireError("model_error", f"The model failed: {error}")
        reply = self.active_reply
        if reply is not None and reply.begun:
            reply.stop()
            reply.finish("failed", error=TranscriptionError(str(mistake), mistake.code))
            self._forget_instructions(reply)
        self.complain(mistake, None, "server_error")

    def _new_id(self, kind: str) -> str:
        return f"{kind}_{self._session_id.removeprefix('sess_')}_{next(self._numbers)}"
