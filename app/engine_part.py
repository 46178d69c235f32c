"""The Assistant's engine: `app.engine_link` with the choice of engine that the settings make."""

from __future__ import annotations

from collections.abc import Callable

from app.engine_link import EngineDown, EngineLink, LinkEvent, LocalEngine, RemoteEngine
from app.engine_link import EngineUp as LinkUp
from app.ports import EngineBusy, EngineChoice, EngineSaid, EngineUp, Post
from app.ports import EngineDown as EngineDownMessage
from model.realtime.events import ClientEvent

MakeEngine = Callable[[EngineChoice], LocalEngine | RemoteEngine]


class LinkedEngine:
    """An `EnginePart`. `make_engine` says how to run or reach what was chosen; it raises ValueError when it cannot.

    `label` turns a checkpoint's name into what people read.
    """

    def __init__(self, make_engine: MakeEngine, label: Callable[[str], str] = str) -> None:
        self._make_engine = make_engine
        self._label = label
        self._link: EngineLink | None = None
        self._post: Post | None = None
        self._up = False

    @property
    def pid(self) -> int | None:
        """The local engine's process."""
        return self._link.pid if self._link is not None else None

    def start(self, post: Post, choice: EngineChoice, delay_s: float = 0.0) -> None:
        self._post = post
        self._up = False
        try:
            engine = self._make_engine(choice)
        except ValueError as error:
            post(EngineDownMessage(str(error), "Choose another engine in the settings.", final=True))
            return
        if self._link is None:
            self._link = EngineLink(engine, self._on_event)
        else:
            self._link.engine = engine
        post(EngineBusy("connecting" if isinstance(engine, RemoteEngine) else "loading the model"))
        self._link.start(delay_s)

    def send(self, event: ClientEvent) -> None:
        if self._link is None or not self._up:
            return
        if not self._link.send(event) and self._up and self._post is not None:
            # Nothing may be left out silently: an engine that takes no more is an engine that is lost.
            self._up = False
            self._post(EngineDownMessage("it takes no more of what is sent to it."))

    def new_session(self) -> None:
        if self._link is not None:
            self._link.new_session()

    def stop(self, timeout_s: float) -> None:
        if self._link is not None:
            self._link.stop(timeout_s)

    def _on_event(self, event: LinkEvent) -> None:
        assert self._post is not None
        match event:
            case LinkUp(url, leaves, model, voices):
                self._up = True
                self._post(EngineUp(self._label(model), url, leaves, voices))
            case EngineDown(reason, remedy, final):
                self._up = False
                self._post(EngineDownMessage(reason, remedy, final))
            case _:
                self._post(EngineSaid(event))
