"""The same Assistant without devices: sound files as the microphone, a recording player, pictures from files.

Used by `converse` and `bench latency`. Faster than real time unless asked otherwise: a file is then heard as fast as
the engine takes it, and everything played counts as heard at once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app import commands as cmd
from app import events as ev
from app.assistant import Assistant
from app.effects import Effect, Unanswered
from app.engine.handle import EngineHandle
from app.ports import Parts
from app.settings import SettingsError, SettingsStore
from app.view import Latency, Phase, Problem, TranscriptTurn, View
from audio_io.blocks import INSIDE_RATE_HZ, Samples
from audio_io.errors import SoundError, WavFileError
from audio_io.events import ListenerEvent, SourceFinished
from audio_io.listener import Listener
from audio_io.segmenter import Segmenter
from audio_io.sound_file import open_sound
from audio_io.turn_end import open_judge
from audio_io.usefulness import judge
from audio_io.wav_player import WavPlayer
from audio_io.wav_source import WavSource
from commands.checkpoints import model_label
from commands.compose import make_engine
from commands.devices import REPLY_PREFIX, ListeningEars, PlayingMouth, SeeingEyes, ToolSights
from commands.errors import EXIT_ENGINE, EXIT_FAILED, EXIT_NO_SPEECH, EXIT_OUTPUT, EXIT_USAGE, CommandError, sound_exit
from commands.tools import AppTools
from model.prompts import DEFAULT_INSTRUCTIONS

TRANSCRIPT_WAIT_S = 30.0
PICTURE_WAIT_S = 15.0
REST = (Phase.LISTENING, Phase.PAUSED)


@dataclass(frozen=True)
class Choice:
    """What a headless conversation runs with."""

    checkpoint: str = ""
    engine_url: str = ""
    engine_token: str = ""
    engine_kind: str = "auto"
    engine_model: str = ""
    quantize: str = "none"
    watch: str = ""
    realtime: bool = False
    instructions: str = ""
    voice: str = ""
    timeout_s: float = 600.0
    reply_limit_s: float = 30.0


class Headless:
    """One conversation; use as a context manager. Every method raises CommandError with a message and an exit code."""

    def __init__(
        self, choice: Choice, watch_events: Callable[[ev.Event, Sequence[Effect]], None] | None = None
    ) -> None:
        """`watch_events` gets every event and what followed from it, in the Assistant's thread."""
        self.choice = choice
        self._watch_events = watch_events
        self._changed = threading.Condition()
        self._view = View()
        self._finished_files = 0
        self._heard_voice = 0
        self._sounded: set[int] = set()
        self.unanswered: list[str] = []
        """Why questions got no answer."""
        self.latencies: list[Latency] = []
        self.problems: list[Problem] = []
        """All that were met, those that are over included."""
        self._folder = tempfile.TemporaryDirectory(prefix="sightline-")
        self._source = WavSource(choice.realtime)
        try:
            store = self._settings()
            segmenter = Segmenter(judge=open_judge())
        except SoundError as error:
            self._folder.cleanup()
            raise CommandError(EXIT_FAILED, error.message, error.remedy) from error
        except SettingsError as error:
            self._folder.cleanup()
            raise CommandError(EXIT_USAGE, str(error)) from error

        def make_listener(emit: Callable[[ListenerEvent], None]) -> Listener:
            return Listener(self._source, emit, segmenter)

        mouth = PlayingMouth(lambda emit: WavPlayer(emit, choice.realtime))
        assert isinstance(mouth.player, WavPlayer)
        self.player = mouth.player
        self.engine = EngineHandle(make_engine, model_label)
        eyes = SeeingEyes(choice.watch or "none")
        tools = AppTools(store, lambda: store.settings.camera_on and eyes.look() is not None, ToolSights(eyes.sights))
        self._assistant = Assistant(
            Parts(
                ListeningEars(make_listener, on_event=self._on_sound),
                mouth,
                eyes,
                self.engine,
                tools.toolbox,
            ),
            store,
            default_instructions=DEFAULT_INSTRUCTIONS,
            lossless=not choice.realtime,
            observe=self._observe,
        )
        tools.open(self._assistant)

    def _settings(self) -> SettingsStore:
        """Settings of its own: neither the user's are read, nor are they changed."""
        choice = self.choice
        store = SettingsStore(Path(self._folder.name))
        store.change(
            {
                "checkpoint": choice.checkpoint,
                "engine_url": choice.engine_url,
                "engine_token": choice.engine_token,
                "engine_kind": choice.engine_kind,
                "engine_model": choice.engine_model,
                "quantize": choice.quantize,
                "pictures": choice.watch or "none",
                "camera_on": bool(choice.watch),
                "instructions": choice.instructions,
                "voice": choice.voice,
                "reply_limit_s": choice.reply_limit_s,
                "check_answers": False,  # every reply here was asked for
            }
        )
        return store

    def __enter__(self) -> Headless:
        self._assistant.subscribe(self._on_view)
        self._assistant.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._assistant.stop(4.0)
        self._folder.cleanup()

    # --- from the Assistant's and the source's threads ---

    def _on_view(self, view: View) -> None:
        with self._changed:
            if view.latency is not None and view.latency is not self._view.latency:
                self.latencies.append(view.latency)
            self.problems += [problem for problem in view.problems if problem not in self._view.problems]
            self._view = view
            self._changed.notify_all()

    def _on_sound(self, event: ListenerEvent) -> None:
        if isinstance(event, SourceFinished):
            with self._changed:
                self._finished_files += 1
                self._changed.notify_all()

    def _observe(self, event: ev.Event, effects: Sequence[Effect]) -> None:
        if self._watch_events is not None:
            self._watch_events(event, effects)
        with self._changed:
            if isinstance(event, ev.VoiceEnded):
                self._heard_voice += 1
            elif isinstance(event, ev.PlaybackStarted):
                self._sounded.add(event.reply)
            self.unanswered += [effect.why for effect in effects if isinstance(effect, Unanswered)]

    # --- the conversation ---

    @property
    def view(self) -> View:
        return self._assistant.view

    @property
    def replies(self) -> tuple[tuple[int, TranscriptTurn], ...]:
        """Player's reply numbers and transcript entries of the replies that were heard, in order.

        The transcript holds the newest entries alone, and a reply of which nothing was heard has none.
        """
        return tuple((turn.reply, turn) for turn in self.view.transcript if turn.reply in self._sounded)

    def save_reply(self, number: int, path: Path) -> None:
        try:
            self.player.save(f"{REPLY_PREFIX}{number}", path)
        except WavFileError as error:
            raise CommandError(EXIT_OUTPUT, error.message, error.remedy) from error

    def wait_ready(self) -> None:
        """Until the engine is loaded and the first picture has come."""
        self._wait(lambda view: view.phase in REST, "The engine was not ready")
        voice, voices = self.choice.voice, self.view.engine.voices
        if voice and voices and voice.lower() not in {name.lower() for name in voices}:
            raise CommandError(EXIT_USAGE, f"There is no voice {voice!r}.", f"Voices: {', '.join(voices)}.")
        if not self.choice.watch:
            return
        deadline_s = time.monotonic() + PICTURE_WAIT_S
        with self._changed:
            while not self._view.devices.picture_source:
                self._check_pictures()
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise CommandError(EXIT_USAGE, f"No picture came from {self.choice.watch} within 15 s.")
                self._changed.wait(left_s)

    def _check_pictures(self) -> None:
        for problem in self._view.problems:
            if problem.code == "pictures":
                raise CommandError(EXIT_USAGE, problem.message, problem.remedy)

    def begin(self, sound: Path | Samples, name: str = "") -> None:
        """Speaks a file, or float32 [n] at 16 kHz, into the microphone; does not wait."""
        try:
            self._source.say(sound, name or str(sound))
        except WavFileError as error:
            raise CommandError(sound_exit(error), error.message, error.remedy) from error

    def wait_for(self, reached: Callable[[View], bool], what: str) -> None:
        """Raises CommandError when it does not happen in time, or the engine is gone."""
        self._wait(reached, what)

    def say(self, path: Path | Samples, name: str = "") -> None:
        """Speaks a file into the microphone and waits until the reply has been heard."""
        heard, finished = self._heard_voice, self._finished_files
        self.begin(path, name)
        called = name or str(path)
        self._wait(lambda _: self._finished_files > finished, f"{called} was not heard to its end")
        if not self._assistant.wait_handled(self.choice.timeout_s):
            raise CommandError(EXIT_FAILED, f"{called} was not worked through.", "Use --timeout to wait longer.")
        if self._heard_voice == heard:
            why = _why_no_speech(path) if isinstance(path, Path) else ""
            message = f"No speech was found in {called}{why}."
            raise CommandError(EXIT_NO_SPEECH, message, "Give a recording in which somebody speaks.")
        self._wait_answered()

    def text(self, text: str) -> None:
        """Types a text and waits until the reply has been heard."""
        self._assistant.send(cmd.SendText(text))
        if not self._assistant.wait_handled(self.choice.timeout_s):
            raise CommandError(EXIT_FAILED, "The text was not worked through.", "Use --timeout to wait longer.")
        self._wait_answered()

    def _wait_answered(self) -> None:
        self._wait(lambda view: view.phase in REST, "There was no answer")
        # The user's words come after the reply; without them the transcript is still worth having.
        deadline_s = time.monotonic() + TRANSCRIPT_WAIT_S
        with self._changed:
            self._changed.wait_for(
                lambda: all(turn.done for turn in self._view.transcript) or self._view.phase is Phase.FAILED,
                max(0.0, deadline_s - time.monotonic()),
            )

    def _wait(self, reached: Callable[[View], bool], otherwise: str) -> None:
        """Waits for a view; raises when the engine is lost for good or the time is up."""
        deadline_s = time.monotonic() + self.choice.timeout_s
        with self._changed:
            while not reached(self._view):
                if self._view.phase is Phase.FAILED:
                    failed = [p for p in self._view.problems if p.code == "engine failed"]
                    message = failed[-1].message if failed else "The engine does not run."
                    remedy = failed[-1].remedy if failed else ""
                    raise CommandError(EXIT_ENGINE, message, remedy)
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    raise CommandError(
                        EXIT_ENGINE,
                        f"{otherwise} within {self.choice.timeout_s:.0f} s.",
                        "Use --timeout to wait longer.",
                    )
                self._changed.wait(left_s)


def _why_no_speech(path: Path) -> str:
    """The reason where the first minute of a sound file shows it."""
    kept: list[Samples] = []
    for piece in open_sound(path).pieces(INSIDE_RATE_HZ):
        kept.append(piece)
        if sum(map(len, kept)) > 60 * INSIDE_RATE_HZ:
            break
    fault = judge(np.concatenate(kept) if kept else np.zeros(0, np.float32))
    return {"silent": ": it is silent from end to end", "too quiet": ": it is far too quiet"}.get(fault, "")
