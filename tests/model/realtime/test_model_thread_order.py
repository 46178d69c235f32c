"""Between conversations: what users say is read before replies go on, and the reply that runs dry first comes first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from model.conversation.schedule import Claim
from model.realtime.config import Abilities
from model.realtime.model_thread import Client, ModelThread


@dataclass
class Line:
    """A client's link, with messages that wait."""

    events: list[str] = field(default_factory=list)
    closed: bool = False
    congested: bool = False

    @property
    def has_events(self) -> bool:
        return bool(self.events)

    def take(self) -> str | None:
        return self.events.pop(0) if self.events else None


@dataclass
class Talk:
    """A conversation that notes when it is served."""

    name: str
    served: list[str]
    steps: int
    lead_s: float
    on_step: Any = None

    def claim(self, now_s: float) -> Claim:
        return Claim(has_input=False, is_replying=self.steps > 0, lead_s=self.lead_s)

    def handle(self, event: str) -> None:
        self.served.append(f"{self.name} hears {event}")

    def work(self, may_speak: bool, quiet_s: float, now_s: float) -> bool:
        if not self.steps:
            return False
        self.steps -= 1
        self.served.append(f"{self.name} speaks")
        if self.on_step is not None:
            self.on_step()
        return True


def serve(*clients: Client) -> None:
    thread = ModelThread(cast(Any, None), "model", None, cast(Any, None), now_s=lambda: 0.0)
    thread._clients = list(clients)
    thread._serve(cast(Any, None), cast(Abilities, None))


def test_users_are_heard_before_replies_and_short_leads_go_first() -> None:
    served: list[str] = []
    far, near = Talk("far", served, 1, 3.0), Talk("near", served, 1, 0.1)
    user = Talk("user", served, 0, 0.0)
    lines = [Line(), Line(), Line(["hello"])]
    serve(*(Client(cast(Any, line), cast(Any, talk)) for line, talk in zip(lines, (far, near, user), strict=True)))
    assert served == ["user hears hello", "near speaks", "far speaks"]


def test_a_reply_waits_for_what_is_said_during_another_ones_step() -> None:
    served: list[str] = []
    line = Line()
    near = Talk("near", served, 1, 0.1, on_step=lambda: line.events.append("stop"))
    far, user = Talk("far", served, 1, 3.0), Talk("user", served, 0, 0.0)
    serve(
        Client(cast(Any, Line()), cast(Any, near)),
        Client(cast(Any, Line()), cast(Any, far)),
        Client(cast(Any, line), cast(Any, user)),
    )
    assert served == ["near speaks", "user hears stop", "far speaks"]


def test_who_talks_without_end_does_not_stop_a_reply() -> None:
    served: list[str] = []
    line = Line(["again"] * 2000)
    user, other = Talk("user", served, 0, 0.0), Talk("other", served, 4, 0.0)
    serve(Client(cast(Any, line), cast(Any, user)), Client(cast(Any, Line()), cast(Any, other)))
    assert served.count("other speaks") == 4
    assert served.index("other speaks") < 2000


def test_a_reply_whose_client_is_congested_does_not_take_a_turn() -> None:
    """Nothing was done for it, so the next reply need not wait for what is said meanwhile."""
    served: list[str] = []

    class Congested(Talk):
        def work(self, may_speak: bool, quiet_s: float, now_s: float) -> bool:
            return may_speak and super().work(may_speak, quiet_s, now_s)

    line = Line(["again"] * 600)
    user, slow, other = Talk("user", served, 0, 0.0), Congested("slow", served, 1, -5.0), Talk("other", served, 1, 1.0)
    lines = (line, Line(congested=True), Line())
    serve(*(Client(cast(Any, at), cast(Any, talk)) for at, talk in zip(lines, (user, slow, other), strict=True)))
    assert served.index("other speaks") < 300
    assert "slow speaks" not in served
