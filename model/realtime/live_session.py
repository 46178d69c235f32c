"""One client's conversation: client events in, work on the model, server events out.

Lives on the model thread, which calls `handle` for everything that the client has sent and then `work` for one piece
of work at a time (a step of the reply, a piece of sound or text to prefill), so that a cancellation waits for one step
at most. While a reply is being made the model takes nothing else: what arrives is kept in the open turn and prefilled
after it. What the events do is in `hearing`, `editing`, `responding` and `renewal`; here is whose turn it is.
"""

from __future__ import annotations

from dataclasses import replace

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
    ResponseCancel,
    ResponseConfig,
    ResponseCreate,
    SessionClose,
    SessionFinish,
    SessionUpdate,
    SightlineSay,
    WireError,
)
from model.realtime.config import Abilities
from model.realtime.contract import Peer, SpeakingModel, SpeakingSession, VoiceDetectorFactory
from model.realtime.conversation import Conversation
from model.realtime.dialects import of_session
from model.realtime.editing import Editing
from model.realtime.hearing import Hearing
from model.realtime.renewal import Renewal
from model.realtime.reply import LiveReply
from model.realtime.responding import Responding
from model.realtime.server_events import (
    SessionClosed,
    SessionCreated,
    SessionFinished,
    SessionUpdated,
    TranscriptionError,
)
from model.realtime.transcripts import QUIET_S

LEAVES_THE_MODEL_ALONE = (InputAudioBufferAppend, InputImageBufferAppend, ConversationItemRetrieve, ResponseCreate)
"""Events that only queue something: a transcription that the model is at can go on."""


class LiveSession:
    """Protocol state of one client. Owned by the model thread."""

    def __init__(
        self,
        model: SpeakingModel,
        abilities: Abilities,
        peer: Peer,
        make_detector: VoiceDetectorFactory | None,
        session_id: str,
    ) -> None:
        """Raises what the model raises when it can make no session."""
        self.talk = talk = Conversation(model, abilities, peer, session_id, configs.initial(abilities, peer.dialect))
        talk.session = model.open_session(talk.config.instructions, talk.config.voice or None)
        self._responding = Responding(talk)
        self._hearing = Hearing(talk, self._responding, make_detector)
        self._editing = Editing(talk, self._responding)
        self._renewal = Renewal(talk)
        self._finishing = False
        """`session.finish` waits for its answer."""
        peer.send(SessionCreated(talk.session_wire()))

    @property
    def session(self) -> SpeakingSession:
        """The model's."""
        return self.talk.session

    @property
    def active_reply(self) -> LiveReply | None:
        """The response between `response.created` and `response.done`."""
        return self.talk.active_reply

    # --- events ------------------------------------------------------------------------------------------------------

    def handle(self, event: ClientEvent | WireError) -> None:
        """Serves one client event; a mistake in it becomes an `error` event."""
        if isinstance(event, WireError):
            self.talk.complain(event, event.event_id)
            return
        try:
            if not isinstance(event, LEAVES_THE_MODEL_ALONE):
                self.talk.transcripts.give_up()
            self._dispatch(event)
        except WireError as mistake:
            self.talk.complain(mistake, event.event_id)
        except ValueError as error:  # the model refuses it
            self.talk.complain(WireError("invalid_input", str(error)), event.event_id)

    def _dispatch(self, event: ClientEvent) -> None:
        match event:
            case InputAudioBufferAppend():
                self._hearing.append(event)
            case InputImageBufferAppend():
                self._hearing.append_image(event)
            case InputAudioBufferCommit():
                self._hearing.commit(event)
            case InputAudioBufferClear():
                self._hearing.clear()
            case SessionUpdate():
                self._update(event)
            case ConversationItemCreate():
                self._editing.create(event)
            case ConversationItemTruncate():
                self._editing.truncate(event)
            case ConversationItemDelete():
                self._editing.delete(event.item_id)
            case ConversationItemRetrieve():
                self._editing.retrieve(event.item_id)
            case ResponseCreate():
                self._responding.create(event.response or ResponseConfig())
            case ResponseCancel():
                self._responding.cancel_asked(event.response_id)
            case SightlineSay():
                self._responding.say(event)
            case SessionFinish():
                self._hearing.end()
                self._finishing = True
            case SessionClose():
                self.talk.peer.send(SessionClosed())
                self.talk.peer.finish()

    def _update(self, event: SessionUpdate) -> None:
        talk = self.talk
        rate_before = talk.peer.dialect.input_rate_hz
        talk.peer.dialect = of_session(talk.peer.dialect, event.session, event.model)
        before = talk.config
        if before.input_rate_hz == rate_before:  # nothing was said of it yet, and another peer means another rate
            before = replace(before, input_rate_hz=talk.peer.dialect.input_rate_hz)
        old, talk.config = talk.config, before
        try:
            talk.config = configs.merge(before, event.session, talk.abilities, talk.peer.dialect)
        except WireError:
            talk.config = old
            raise
        new = talk.config
        if (old.turn_detection, old.input_rate_hz) != (new.turn_detection, new.input_rate_hz):
            self._hearing.new_turn_finder()
        if (old.instructions, old.tools) != (new.instructions, new.tools) or (
            new.tools and (old.tool_choice == "none") != (new.tool_choice == "none")
        ):
            talk.must_renew = True
        if old.voice != new.voice:
            talk.session.options = replace(talk.session.options, voice=new.voice)
        talk.peer.send(SessionUpdated(talk.session_wire()))

    @property
    def waits_for_quiet(self) -> bool:
        """Something becomes due when the client has said nothing for a moment."""
        return self.talk.transcripts.wanted

    # --- work --------------------------------------------------------------------------------------------------------

    def claim(self, now_s: float) -> Claim:
        """What this conversation waits for, for the order between conversations."""
        reply = self.active_reply
        is_replying = reply is not None and reply.events is not None
        lead_s = reply.lead_s(now_s) if reply is not None else 0.0
        return Claim(has_input=not is_replying and self.talk.turn.has_news, is_replying=is_replying, lead_s=lead_s)

    def work(self, may_speak: bool, quiet_s: float, now_s: float) -> bool:
        """Does one piece of work; False: there is nothing to do now.

        `may_speak`: the client takes what is sent. `quiet_s`: since it last sent something.
        """
        talk, reply = self.talk, self.active_reply
        if reply is not None and reply.events is not None:
            if may_speak:
                self._responding.advance(reply, now_s)
            return may_speak
        if talk.transcripts.asking:
            self._transcribe()
            return True
        if reply is not None and reply.ended is not None:
            # Other clients put their conversation together from items in the order of these events.
            if not self._is_one_turn and talk.transcripts.wants_other_than(part.item_id for part in talk.turn.inputs):
                self._transcribe()
            else:
                self._responding.conclude(reply)
            return True
        if self._renewal.under_way:
            self._renewal.step()
            return True
        if reply is None and (self._editing.truncate_later() or self._responding.create_waiting()):
            return True
        if reply is None and self._late_words_wanted():
            self._transcribe()
            return True
        if talk.must_renew and (talk.turn.inputs or reply is not None):
            self._renewal.begin()
            return True
        if reply is not None and talk.turn.ready:
            self._responding.start(reply)
            return True
        if self._earlier_words_wanted():
            self._transcribe()
            return True
        if talk.turn.feed(talk.session):
            return True
        return self._work_when_quiet(reply, quiet_s)

    def _work_when_quiet(self, reply: LiveReply | None, quiet_s: float) -> bool:
        talk = self.talk
        if reply is None and talk.transcripts.wanted and quiet_s >= QUIET_S and talk.turn.buffer is None:
            self._transcribe()
            return True
        if self._finishing and reply is None and not talk.transcripts.wanted:
            self._finishing = False
            talk.peer.send(SessionFinished())
            return True
        return False

    @property
    def _is_one_turn(self) -> bool:
        return self.talk.peer.dialect.is_one_turn

    def _late_words_wanted(self) -> bool:
        """A turn has been answered, its words are wanted, and the next turn must not be heard before they are known."""
        return self.talk.transcripts.wants_other_than(part.item_id for part in self.talk.turn.inputs)

    def _earlier_words_wanted(self) -> bool:
        """An item of this turn waits for its words, and another is about to be heard behind it."""
        if self._is_one_turn:
            return False
        following = self.talk.turn.next_part
        if following is None or following.n_fed:
            return False
        before = self.talk.turn.inputs[: self.talk.turn.inputs.index(following)]
        return any(self.talk.transcripts.wants(part.item_id) for part in before)

    def close(self) -> None:
        """Frees the reply and the session."""
        self.talk.transcripts.give_up()
        if self.talk.last_reply is not None:
            self.talk.last_reply.stop()

    def _transcribe(self) -> None:
        talk = self.talk
        inputs = [part for part in talk.turn.inputs if part.closed and part.committed]
        if not inputs and talk.last_reply is not None:
            inputs = talk.last_reply.answered
        heard = [part.item_id for part in inputs]
        turn_s = sum(part.sound_s for part in inputs)
        found = talk.transcripts.step(talk.session, turn_s, heard, self._is_one_turn)
        record = None if found is None else talk.records.get(found.item_id)
        if found is None or record is None:
            return
        record.content = tuple(
            replace(part, transcript=found.words) if part.type == "input_audio" else part for part in record.content
        )
        if record.text and not any(part.type == "input_image" for part in record.content):
            record.input = None  # its words stand for it from now on

    # --- the model's failures ----------------------------------------------------------------------------------------

    def model_refused(self, error: ValueError) -> None:
        """The model cannot take what the client sent (too much for its memory, pictures far ahead of the sound)."""
        if self.active_reply is not None and self.active_reply.begun:
            self.model_failed(error)
            return
        self.talk.complain(WireError("invalid_input", str(error)), None)
        self._hearing.end_overlong(is_refused=True)

    def model_failed(self, error: Exception) -> None:
        """The model could not do what was asked; the session goes on."""
        mistake = WireError("model_error", f"The model failed: {error}")
        self.talk.transcripts.give_up()
        reply = self.active_reply
        if reply is not None and reply.begun:
            reply.stop()
            reply.finish("failed", error=TranscriptionError(str(mistake), mistake.code))
            self._responding.abandon(reply)
        self.talk.complain(mistake, None, "server_error")
