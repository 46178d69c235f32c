"""A model session with other instructions that holds the same conversation."""

from __future__ import annotations

from model.realtime.conversation import Conversation
from model.realtime.records import Record
from model.realtime.turn import TurnInput


class SessionLostError(RuntimeError):
    """The model has no session for this client any more."""


class Renewal:
    """Begins the model's session anew, then gives it what was answered, piece by piece. Owned by the model thread."""

    def __init__(self, conversation: Conversation) -> None:
        self._talk = conversation
        self._given: list[TurnInput] = []

    @property
    def under_way(self) -> bool:
        return bool(self._given)

    def begin(self) -> None:
        """Makes the session; raises ValueError when the model refuses it (then it is one as before)."""
        talk = self._talk
        talk.must_renew = False
        talk.transcripts.give_up()
        instructions, before = talk.instructions(), talk.session.options.instructions
        talk.last_reply = talk.active_reply  # an older one would hold on to the old session
        del talk.session  # a device has room for the caches of one: they go before new ones are made
        refused = self._open(instructions)
        if refused and self._open(before):
            raise SessionLostError(f"The model's session could not be made again: {refused}")
        talk.turn.give_again()
        unanswered = {part.item_id for part in talk.turn.inputs}
        self._given = []
        before_it: Record | None = None
        for record in talk.records:
            if record.id in unanswered or record.role == "system":
                continue
            entry = self._entry(record, before_it)
            if entry is not None:
                record.handles = entry.handles
                self._given.append(entry)
                before_it = record
            else:
                record.handles = []
        if refused:
            raise ValueError(refused)

    def step(self) -> None:
        """Gives the model the next piece."""
        talk = self._talk
        entry = self._given[0]
        if entry.n_fed < len(entry.entries):
            entry.feed(talk.session)
        if entry.n_fed >= len(entry.entries):
            if entry.sound_s or entry.n_pictures:
                talk.session.commit()
            entry.committed = True
            self._given.pop(0)
            talk.n_positions = talk.session.n_positions

    def _entry(self, record: Record, before: Record | None) -> TurnInput | None:
        """What the model is given of an item: its words; where nobody knows them, what was heard and seen."""
        if record.text:
            entry = TurnInput(record.id, closed=True)
            is_more = record.kind == "function_call" and before is not None and before.role == "assistant"
            text = f"\n{record.text}" if is_more else record.text
            entry.read(text, record.role, goes_on=is_more)
            return entry
        if record.input is not None and record.input.entries:
            record.input.give_again()
            return record.input
        return None

    def _open(self, instructions: str) -> str:
        """Makes the model's session; returns why it refuses, or nothing.

        Not the error itself, whose traceback holds on to what was made of the session.
        """
        talk = self._talk
        try:
            talk.session = talk.model.open_session(instructions, talk.config.voice or None)
        except ValueError as error:
            return str(error)
        return ""
