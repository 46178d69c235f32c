"""The conversation's items: put in anywhere, shown, shortened, taken out."""

from __future__ import annotations

from dataclasses import replace

from model.realtime.client_events import ConversationItemCreate, ConversationItemTruncate, WireError
from model.realtime.conversation import Conversation
from model.realtime.items import check_id, read_item
from model.realtime.records import Record
from model.realtime.reply import LiveReply
from model.realtime.responding import Responding
from model.realtime.server_events import (
    ConversationItemDeleted,
    ConversationItemRetrieved,
    ConversationItemTruncated,
)
from model.realtime.turn import TurnInput


class Editing:
    """Serves the `conversation.item...` events. Owned by the model thread."""

    def __init__(self, conversation: Conversation, responding: Responding) -> None:
        self._talk = conversation
        self._responding = responding
        self._later: list[ConversationItemTruncate] = []
        """Cuts in older replies that wait for the end of the running one."""

    # --- put in ------------------------------------------------------------------------------------------------------

    def create(self, event: ConversationItemCreate) -> None:
        talk = self._talk
        item_id = talk.new_id("item") if event.item.id is None else check_id(event.item.id)
        if item_id in talk.records:
            raise WireError(
                "item_create_duplicate_item_id", f"item.id: {item_id!r} is in the conversation already.", "item.id"
            )
        previous_id = talk.records.last_id if event.previous_item_id is None else event.previous_item_id
        if previous_id == "root":
            previous_id = None
        elif previous_id is not None and previous_id not in talk.records:
            raise WireError(
                "item_not_found", f"previous_item_id: no item {previous_id[:64]!r} in the conversation.",
                "previous_item_id",
            )  # fmt: skip
        record, entry = read_item(event.item, item_id, talk.config.input_rate_hz)
        later = talk.records.insert_after(record, previous_id)
        talk.announce(record, previous_id)
        if record.role == "system":
            talk.must_renew = True
            return
        record.input, record.handles = entry, entry.handles
        self._place(record, entry, later)
        if entry.sound_s and talk.config.transcription is not None and not record.text:
            talk.transcripts.want(record.id, entry.sound_s)

    def _place(self, record: Record, entry: TurnInput, later: list[Record]) -> None:
        """Gives the model an item where it stands: before what is unanswered, or in a session that begins anew."""
        talk = self._talk
        unanswered = {part.item_id: part for part in talk.turn.inputs}
        behind = [other for other in later if other.role != "system"]
        if not behind:
            talk.turn.take_back_buffer(talk.session)
            talk.turn.close(entry)
        elif all(other.id in unanswered for other in behind):
            talk.turn.insert(entry, unanswered[behind[0].id], talk.session)
        else:
            talk.must_renew = True

    # --- shown -------------------------------------------------------------------------------------------------------

    def retrieve(self, item_id: str) -> None:
        self._talk.peer.send(ConversationItemRetrieved(self._talk.record(item_id).wire()))

    # --- taken out ---------------------------------------------------------------------------------------------------

    def delete(self, item_id: str) -> None:
        talk = self._talk
        record = talk.record(item_id)
        waiting = next((part for part in talk.turn.inputs if part.item_id == item_id), None)
        reply = talk.last_reply
        if reply is not None and reply.record is record and talk.records.last_id == item_id:
            self._delete_reply(reply)
        elif waiting is not None:
            talk.turn.remove(waiting, talk.session)
        elif record.role == "system":
            talk.must_renew = True
        elif record.handles:
            if talk.active_reply is not None:
                raise WireError("response_active", "An older item cannot be deleted while a response is being made.")
            for handle in reversed(record.handles):
                talk.session.forget(handle)
            if reply is not None:
                reply.answered = [part for part in reply.answered if part.item_id != item_id]
        talk.transcripts.forget(item_id)
        talk.records.remove(item_id)
        talk.peer.send(ConversationItemDeleted(item_id))

    def _delete_reply(self, reply: LiveReply) -> None:
        if not reply.done:
            self._responding.cancel(reply, "client_cancelled")
        if reply is self._talk.last_reply:  # else it had said nothing, and has been undone
            self._responding.undo(reply)

    # --- shortened ---------------------------------------------------------------------------------------------------

    def truncate(self, event: ConversationItemTruncate) -> None:
        talk = self._talk
        record = talk.record(event.item_id)
        if record.role != "assistant" or record.kind != "message":
            raise WireError("invalid_value", "Only a reply can be truncated.", "item_id")
        if event.audio_end_ms < 0 or event.content_index != 0:
            raise WireError("invalid_value", "The reply has nothing there to truncate.", "audio_end_ms")
        reply = talk.last_reply
        if reply is not None and reply.item_id == record.id and reply.begun and reply.session is None:
            self._truncate_newest(reply, event)
        elif talk.active_reply is not None and talk.active_reply.begun:
            self._later.append(event)
        else:
            self._truncate_older(record, event)

    def truncate_later(self) -> bool:
        """Makes a cut that had to wait; False: none waits."""
        if not self._later or self._talk.active_reply is not None:
            return False
        event = self._later.pop(0)
        record = self._talk.records.get(event.item_id)
        if record is not None:
            self._truncate_older(record, event)
        return True

    def _truncate_newest(self, reply: LiveReply, event: ConversationItemTruncate) -> None:
        talk = self._talk
        speech = reply.request.speech
        if not reply.done:
            self._responding.cancel(reply, "client_cancelled")
        if event.audio_end_ms == 0 or (speech and (not reply.completed or event.audio_end_ms < reply.audio_ms)):
            talk.turn.take_back_buffer(talk.session)
            reply.cut(talk.session.interrupt(heard_ms=event.audio_end_ms))
            if not reply.text:
                self._responding.reopen(reply)
        self._truncated(event, reply.text)

    def _truncate_older(self, record: Record, event: ConversationItemTruncate) -> None:
        """A reply that others have followed: its turn stays, however little was heard of it."""
        talk = self._talk
        if event.audio_end_ms == 0:
            n_letters = 0
        elif record.letters_heard is None or event.audio_end_ms >= record.audio_ms:
            self._truncated(event, record.text)
            return
        else:
            n_letters = record.letters_heard(event.audio_end_ms)
        text = record.text[:n_letters]
        if record.handles:
            text = talk.session.shorten(record.handles[0], n_letters)
        record.status = "incomplete"
        record.content = tuple(
            replace(part, text=text) if part.transcript is None else replace(part, transcript=text)
            for part in record.content
        )
        self._truncated(event, text)

    def _truncated(self, event: ConversationItemTruncate, text: str) -> None:
        self._talk.peer.send(ConversationItemTruncated(event.item_id, event.audio_end_ms, transcript=text))
