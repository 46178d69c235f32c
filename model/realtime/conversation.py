"""What the parts of one client's session share: its configuration, its items, the open turn, the model's session.

`hearing`, `editing`, `responding` and `renewal` each serve some of the client's events on it; `live_session` decides
whose turn it is. Owned by the model thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from model.conversation.calls import function, with_tools
from model.realtime.client_events import Tool, WireError
from model.realtime.config import Abilities, LiveConfig, to_wire
from model.realtime.contract import Peer, SpeakingModel, SpeakingSession
from model.realtime.records import Record, Records
from model.realtime.reply import LiveReply
from model.realtime.server_events import ConversationItemAdded, ConversationItemDone, ErrorEvent, EventError
from model.realtime.transcripts import Transcripts
from model.realtime.turn import OpenTurn


@dataclass(slots=True)
class Conversation:
    """The state of one client's session."""

    model: SpeakingModel
    abilities: Abilities
    peer: Peer
    session_id: str
    config: LiveConfig
    session: SpeakingSession = field(init=False)
    records: Records = field(default_factory=Records)
    turn: OpenTurn = field(default_factory=OpenTurn)
    last_reply: LiveReply | None = None
    """The newest reply, running or finished."""
    transcripts: Transcripts = field(init=False)
    must_renew: bool = False
    """The instructions are others than the model's session was made with."""
    n_positions: int = 0
    """Positions that were in use after the last reply; what came since is a response's input."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.transcripts = Transcripts(self.peer.send)

    @property
    def active_reply(self) -> LiveReply | None:
        """The response between `response.created` and `response.done`."""
        return self.last_reply if self.last_reply is not None and not self.last_reply.done else None

    def new_id(self, kind: str) -> str:
        return f"{kind}_{self.session_id.removeprefix('sess_')}_{next(self._numbers)}"

    def complain(self, mistake: WireError, event_id: str | None, kind: str = "invalid_request_error") -> None:
        self.peer.send(ErrorEvent(EventError(str(mistake), kind, mistake.code, mistake.param, event_id)))

    def announce(self, record: Record, previous_id: str | None) -> None:
        self.peer.send(ConversationItemAdded(record.wire(), previous_id))
        self.peer.send(ConversationItemDone(record.wire(), previous_id))

    def record(self, item_id: str) -> Record:
        """One item; raises `WireError`."""
        record = self.records.get(item_id)
        if record is None:
            raise WireError("item_not_found", f"item_id: no item {item_id[:64]!r} in the conversation.", "item_id")
        return record

    def instructions(self) -> str:
        """The text of the model's system turn: instructions, the system's messages, the tools."""
        system = [record.text for record in self.records if record.role == "system"]
        tools = self.config.tools if self.config.tool_choice != "none" else ()
        return with_tools("\n\n".join(filter(None, [self.config.instructions, *system])), shown(tools))

    def session_wire(self) -> dict[str, object]:
        return to_wire(self.config, self.session_id, self.abilities)


def shown(tools: tuple[Tool, ...]) -> list[dict[str, object]]:
    """Tools as the model is shown them."""
    return [function(tool.name, tool.description, tool.parameters) for tool in tools]
