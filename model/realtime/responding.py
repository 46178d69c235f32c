"""Responses: asked for, begun, advanced a step at a time, cancelled, taken back."""

from __future__ import annotations

import contextlib
from collections import deque

from model.conversation.calls import call_opening, with_tools
from model.realtime import config as configs
from model.realtime.client_events import Item, ResponseConfig, SightlineSay, ToolName, WireError
from model.realtime.config import ReplyRequest
from model.realtime.contract import ReplyEvents, SpeakingSession
from model.realtime.conversation import Conversation, shown
from model.realtime.items import MAX_TEXT_CHARS, read_item
from model.realtime.reply import LiveReply, Reason
from model.realtime.server_events import TranscriptionError
from model.realtime.turn import TurnInput

MAX_WAITING = 16
"""Responses outside of the conversation that wait for their turn."""


class Responding:
    """Serves `response.create`, `response.cancel` and `sightline.say`. Owned by the model thread."""

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self.wanted = False
        """A turn waits for its reply, which nobody need ask for; one that must not be interrupted may be going on."""
        self._waiting: deque[ReplyRequest] = deque()

    # --- asked for ---------------------------------------------------------------------------------------------------

    def create(self, asked: ResponseConfig) -> None:
        request = configs.response_request(asked, self._talk.config, self._talk.abilities)
        if self._talk.active_reply is not None and not request.in_conversation:
            if len(self._waiting) >= MAX_WAITING:
                raise WireError("rate_limit_exceeded", f"{MAX_WAITING} responses wait already; wait for some of them.")
            self._waiting.append(request)
            return
        self._create(request)

    def say(self, event: SightlineSay) -> None:
        if not event.text.strip():
            raise WireError("missing_value", "text: expected some text to speak.", "text")
        if len(event.text) > MAX_TEXT_CHARS:
            raise WireError("invalid_value", f"text: {len(event.text)} characters; at most {MAX_TEXT_CHARS}.", "text")
        self._create(
            ReplyRequest(
                speech=bool(self._talk.config.voice),
                max_tokens=None,
                metadata=event.metadata,
                in_conversation=event.conversation != "none",
                said=event.text,
            )
        )

    def create_waiting(self) -> bool:
        """Creates what waits for its turn; False: nothing does."""
        if self.wanted:
            self.wanted = False
            self._create(configs.response_request(ResponseConfig(), self._talk.config, self._talk.abilities))
        elif self._waiting:
            self._create(self._waiting.popleft())
        else:
            return False
        return True

    def _create(self, request: ReplyRequest) -> None:
        talk = self._talk
        active = talk.active_reply
        if active is not None:
            raise WireError(
                "conversation_already_has_active_response",
                f"Response {active.response_id} is being made; cancel it or wait for its response.done.",
            )
        if request.in_conversation and request.said is None:
            self.wanted = False
        reply = LiveReply(request, talk.records, talk.peer.send, talk.new_id)
        if talk.last_reply is not None:
            talk.last_reply.previous = None
        reply.previous = talk.last_reply
        talk.last_reply = reply

    # --- made --------------------------------------------------------------------------------------------------------

    def start(self, reply: LiveReply) -> None:
        """Asks the model for it. The model has been given everything that is committed."""
        talk = self._talk
        if reply.request.input is not None:
            self._start_apart(reply, reply.request.input)
            return
        talk.turn.take_back_buffer(talk.session)
        buffer = talk.turn.buffer
        reply.answered = [part for part in talk.turn.inputs if part is not buffer]
        talk.turn.inputs = [] if buffer is None else [buffer]
        talk.transcripts.give_up_on_others(part.item_id for part in reply.answered)
        try:
            instructions = self._own_instructions(reply.request)
            if instructions:
                reply.instructions_handle = talk.session.read(instructions)
            reply.n_input_tokens = max(0, talk.session.n_positions - talk.n_positions)
            reply.begin(self._ask(talk.session, reply.request))
        except ValueError as error:  # there is no room for it
            reply.finish("failed", error=TranscriptionError(str(error), "invalid_request", "invalid_request_error"))
            self.undo(reply)
            self._forget_instructions(reply)

    def _start_apart(self, reply: LiveReply, items: tuple[Item, ...]) -> None:
        """A response to what it brings with it: in a session of its own."""
        talk = self._talk
        try:
            reply.session = talk.model.open_session(talk.instructions(), talk.config.voice or None)
            for number, item in enumerate(items):
                entry = self._entry(item, f"in_{number}")
                while entry.n_fed < len(entry.entries):
                    entry.feed(reply.session)
                reply.session.commit()
            instructions = self._own_instructions(reply.request)
            if instructions:
                reply.session.read(instructions)
            reply.begin(self._ask(reply.session, reply.request))
        except ValueError as error:
            reply.finish("failed", error=TranscriptionError(str(error), "invalid_request", "invalid_request_error"))
            reply.session = None
            talk.last_reply = reply.previous

    def _entry(self, item: Item, item_id: str) -> TurnInput:
        talk = self._talk
        if item.type == "item_reference":
            record = talk.record(item.id or "")
            if record.input is not None and not record.text:
                record.input.give_again()
                return record.input
            entry = TurnInput(item_id, closed=True)
            entry.read(record.text or " ", "user" if record.role == "system" else record.role)
            return entry
        record, entry = read_item(item, item_id, talk.config.input_rate_hz)
        if record.role == "system":
            entry = TurnInput(item_id, closed=True)
            entry.read(record.text)
        return entry

    def _own_instructions(self, request: ReplyRequest) -> str:
        """Instructions and tools of this response only; they are text at the end of the user's turn."""
        text = request.instructions or ""
        return with_tools(text, shown(request.tools)) if request.tools else text

    def _ask(self, session: SpeakingSession, request: ReplyRequest) -> ReplyEvents:
        if request.said is not None:
            return session.say(request.said, speech=request.speech)
        tools = self._talk.config.tools if request.tools is None else request.tools
        choice = request.tool_choice if tools else "none"
        opening = ""
        if isinstance(choice, ToolName):
            opening = call_opening(choice.name)
        elif choice == "required":
            opening = call_opening(None)
        return session.reply(
            max_tokens=request.max_tokens,
            speech=request.speech,
            unasked=True,
            tools=choice != "none",
            opening=opening,
        )

    def advance(self, reply: LiveReply, now_s: float) -> None:
        """One step of the model."""
        reply.advance(now_s)
        if reply.events is None:
            self._forget_instructions(reply)
            if reply.session is None:
                self._talk.n_positions = self._talk.session.n_positions

    def conclude(self, reply: LiveReply) -> None:
        """Sends the end of a reply that the model has ended."""
        reply.conclude()
        if not reply.request.in_conversation:
            self._forget(reply)

    # --- taken back --------------------------------------------------------------------------------------------------

    def cancel_asked(self, response_id: str | None) -> None:
        reply = self._talk.active_reply
        if reply is None or response_id not in (None, reply.response_id):
            raise WireError(
                "response_cancel_not_active", "Cancellation failed: there is no such response.", "response_id"
            )
        self.cancel(reply, "client_cancelled")

    def cancel(self, reply: LiveReply, reason: Reason) -> None:
        """Ends a running response; one that had not said anything leaves no trace."""
        self._talk.peer.drop_speech(reply.response_id)
        reply.stop()
        reply.finish("cancelled", reason)
        if not reply.request.in_conversation:
            self._forget(reply)
        elif reply.record is None:
            self.undo(reply)
        self._forget_instructions(reply)

    def _forget(self, reply: LiveReply) -> None:
        """A response outside of the conversation leaves nothing behind."""
        if reply.session is not None:
            reply.session = None
            self._talk.last_reply = reply.previous
        else:
            self.undo(reply)

    def undo(self, reply: LiveReply) -> None:
        """As if the reply had never been: the user's turn is open again."""
        talk = self._talk
        talk.turn.take_back_buffer(talk.session)
        if reply.begun:
            talk.session.interrupt(heard_ms=0)
        reply.cut("")
        self.reopen(reply)

    def reopen(self, reply: LiveReply) -> None:
        """What the reply has answered is unanswered again."""
        talk = self._talk
        talk.turn.inputs[:0] = reply.answered
        reply.answered = []
        talk.last_reply = None if reply.begun else reply.previous

    def abandon(self, reply: LiveReply) -> None:
        """After a failure of the model: nothing is asked of the reply any more."""
        reply.session = None
        self._forget_instructions(reply)

    def _forget_instructions(self, reply: LiveReply) -> None:
        """Instructions of one response are no part of the conversation after it."""
        handle, reply.instructions_handle = reply.instructions_handle, None
        if handle is not None:
            with contextlib.suppress(ValueError):  # evicted already
                self._talk.session.forget(handle)
