"""Puts concrete parts together: the Assistant on real devices, and on files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from app.assistant import Assistant
from app.engine.choice import target_of
from app.engine.handle import EngineHandle, LocalEngine, RemoteEngine
from app.engine.process import engine_command
from app.events import WHEN_TAKEN, DeviceFails
from app.history import History, HistoryError
from app.ports import EngineChoice, Parts, Post
from app.settings import Settings, SettingsStore
from app.view import Problem
from audio_io.echo import EchoCanceller
from audio_io.errors import SoundError
from audio_io.events import ListenerEvent
from audio_io.host import SoundHost
from audio_io.interfaces import ReplyPlayer
from audio_io.listener import Listener
from audio_io.microphone import Microphone
from audio_io.monitor import AllThatPlays, OutputMonitor
from audio_io.player import Player
from audio_io.segmenter import Segmenter
from audio_io.turn_end import open_judge
from commands.checkpoints import ROOT, model_label
from commands.devices import ListeningEars, PlayingMouth, SeeingEyes, ToolSights
from commands.tools import AppTools
from model.checkpoint.place import checkpoint_folder
from model.prompts import DEFAULT_INSTRUCTIONS

LAUNCHER = (sys.executable, str(ROOT / "main.py"))


def make_engine(choice: EngineChoice) -> LocalEngine | RemoteEngine:
    """Raises ValueError for an address that is none, and for a checkpoint that is none, with what to give instead."""
    if choice.url:
        return RemoteEngine(target_of(choice))
    checkpoint = checkpoint_folder(choice.checkpoint) if choice.checkpoint else None
    quantize = None if choice.quantize == "none" else choice.quantize
    return LocalEngine(engine_command(LAUNCHER, checkpoint, quantize=quantize))


@dataclass
class MissingEars:
    """Stands in for a microphone that cannot work on this machine; everything else goes on."""

    problem: Problem

    def start(self, post: Post) -> None:
        post(DeviceFails(WHEN_TAKEN, "microphone", self.problem))

    def stop(self) -> None:
        """Nothing runs."""

    def set_on(self, on: bool) -> None:
        """There is nothing to switch."""

    def force(self, down: bool) -> None:
        """There is nothing to switch."""

    def choose(self, name: str | None) -> None:
        """There is nothing to choose."""


class Desktop:
    """The Assistant on this machine's devices, and the eyes for the preview."""

    def __init__(self, store: SettingsStore) -> None:
        self.store = store
        self.eyes: SeeingEyes | None = None
        self.tools: AppTools | None = None

    def compose(self) -> Assistant:
        """Loads the detectors (about a second); call it away from the Qt thread."""
        settings = self.store.settings
        host = SoundHost()
        mouth = PlayingMouth(lambda emit: Player(host, emit, settings.speaker), _switch_speaker)
        self.eyes = SeeingEyes(settings.pictures)
        problems: tuple[Problem, ...] = ()
        history: History | None = None
        try:
            history = History()
        except HistoryError as error:
            problems = (Problem("history", f"The conversation is not being kept. {error}", ""),)
        eyes = self.eyes
        self.tools = AppTools(
            self.store,
            lambda: self.store.settings.camera_on and eyes.look() is not None,
            ToolSights(eyes.sights),
        )
        parts = Parts(
            self._ears(host, settings, mouth.player),
            mouth,
            eyes,
            EngineHandle(make_engine, model_label),
            self.tools.toolbox,
        )
        assistant = Assistant(
            parts,
            self.store,
            history,
            default_instructions=DEFAULT_INSTRUCTIONS,
            startup_problems=problems,
        )
        self.tools.open(assistant)
        return assistant

    def _ears(self, host: SoundHost, settings: Settings, player: ReplyPlayer) -> ListeningEars | MissingEars:
        microphone = Microphone(host, settings.microphone)
        assert isinstance(player, Player)
        monitor = OutputMonitor(lambda: host.speaker_name(self.store.settings.speaker))

        def make_listener(emit: Callable[[ListenerEvent], None]) -> Listener:
            return Listener(
                microphone,
                emit,
                Segmenter(judge=open_judge()),
                EchoCanceller(),
                AllThatPlays(monitor, player.reference),
            )

        try:
            return ListeningEars(make_listener, microphone, monitor=monitor)
        except SoundError as error:
            return MissingEars(Problem("microphone", error.message, error.remedy))


def _switch_speaker(player: ReplyPlayer, name: str | None) -> None:
    assert isinstance(player, Player)
    player.switch(name)
