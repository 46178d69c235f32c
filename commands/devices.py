"""Adapters: the device packages' parts in the shape that `app.ports` asks for; they post the conversation's events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app import events as ev
from app.events import WHEN_TAKEN
from app.ports import Post
from app.reading import marked
from app.view import EarconName, Problem
from audio_io import events as sound
from audio_io.errors import PlayerFullError
from audio_io.interfaces import ReplyPlayer
from audio_io.listener import Listener
from audio_io.monitor import OutputMonitor
from video_io import eyes as video
from video_io.aiming import Advice
from video_io.files import GivenGrabber
from video_io.frames import FrameSource, SourceEvent, SourceEventKind
from video_io.looking import Answer, in_words
from video_io.reading.page import Page
from video_io.sights import Sights
from video_io.source import ThreadedSource
from video_io.sources import open_source

REPLY_PREFIX = "reply-"
GIVEN = "given:"
"""What a source is called that was handed over as bytes."""


def device_event(event: sound.SourceEvent | sound.PlayerEvent) -> ev.Event | ev.SoundLost | None:
    """What a sound device reports in the conversation's words; None for what it does not need."""
    match event:
        case sound.DeviceOpened(kind, name) | sound.DeviceBack(kind, name):
            return ev.DeviceRuns(WHEN_TAKEN, kind, name)
        case sound.DeviceLost() | sound.DeviceMissing() | sound.PartFailed():
            return ev.DeviceFails(WHEN_TAKEN, event.kind, Problem(event.kind, event.message, event.remedy))
        case sound.SoundGap(kind, lost_ms, total):
            return ev.SoundLost(kind, lost_ms, total)
        case _:
            return None


class Switchable(Protocol):
    """A device part that can go over to another device."""

    def switch(self, device: str | int | None) -> None: ...


class ListeningEars:
    """`app.ports.Ears` on a `Listener`. `make_listener` gets where its events go.

    Push-to-talk works while the microphone is off: the segmenter takes the held key for consent.
    """

    def __init__(
        self,
        make_listener: Callable[[Callable[[sound.ListenerEvent], None]], Listener],
        device: Switchable | None = None,
        on_event: Callable[[sound.ListenerEvent], None] | None = None,
        monitor: OutputMonitor | None = None,
    ) -> None:
        self._listener = make_listener(self._emit)
        self._monitor = monitor
        self._device = device
        self._on_event = on_event
        self._post: Post | None = None
        self._utterance = 0

    def start(self, post: Post) -> None:
        self._post = post
        if self._monitor is not None:
            self._monitor.start()
        self._listener.start()

    def stop(self) -> None:
        self._listener.stop()
        if self._monitor is not None:
            self._monitor.stop()

    def set_on(self, on: bool) -> None:
        if on:
            self._listener.unmute()
        else:
            self._listener.mute()

    def force(self, down: bool) -> None:
        if down:
            self._listener.force_start()
        else:
            self._listener.force_end()

    def choose(self, name: str | None) -> None:
        if self._device is not None:
            self._device.switch(name)

    def _emit(self, event: sound.ListenerEvent) -> None:
        if self._monitor is not None and isinstance(event, sound.DeviceBack):
            self._monitor.record_anew()
        if self._post is not None:
            posted = self._translate(event)
            if posted is not None:
                self._post(posted)
        if self._on_event is not None:
            self._on_event(event)

    def _translate(self, event: sound.ListenerEvent) -> ev.Event | ev.Report | None:
        """The listener emits speech under one lock, so utterances are numbered in their order."""
        match event:
            case sound.SpeechAudio(at_s, samples):
                return ev.VoiceSound(self._utterance, samples, at_s)
            case sound.SpeechStarted(_, samples, forced):
                self._utterance += 1
                return ev.VoiceStarted(WHEN_TAKEN, self._utterance, forced, samples)
            case sound.SpeechPaused(at_s):
                return ev.VoicePaused(WHEN_TAKEN, self._utterance, at_s)
            case sound.SpeechResumed():
                return ev.VoiceResumed(WHEN_TAKEN, self._utterance)
            case sound.SpeechEnded():
                return ev.VoiceEnded(WHEN_TAKEN, self._utterance, event.voiced_s, event.at_s)
            case sound.SpeechDropped():
                return ev.VoiceDropped(WHEN_TAKEN, self._utterance)
            case sound.MicrophoneUseless(message, remedy):
                return ev.ProblemRaised(WHEN_TAKEN, Problem("microphone use", message, remedy))
            case sound.MicrophoneUseful():
                return ev.ProblemOver(WHEN_TAKEN, "microphone use", "The microphone works.")
            case sound.MicrophoneLevel(rms_dbfs):
                return ev.LevelMeasured(rms_dbfs)
            case _:
                return device_event(event)


class PlayingMouth:
    """`app.ports.Mouth` on a `ReplyPlayer`."""

    def __init__(
        self,
        make_player: Callable[[Callable[[sound.PlayerEvent], None]], ReplyPlayer],
        device: Callable[[ReplyPlayer, str | None], None] | None = None,
    ) -> None:
        self.player = make_player(self._emit)
        self._switch = device
        self._post: Post | None = None

    def start(self, post: Post) -> None:
        self._post = post
        self.player.start()

    def stop(self) -> None:
        self.player.stop()

    def play(self, reply: int, samples: NDArray[np.float32]) -> None:
        try:
            self.player.play(_name(reply), samples)
        except PlayerFullError as error:
            raise BufferError(error.message) from error

    def finish(self, reply: int) -> None:
        self.player.finish(_name(reply))

    def flush(self, reply: int) -> int:
        name = _name(reply)
        return next((h.heard_ms for h in self.player.flush() if h.reply_id == name), self.player.heard_ms(name))

    def pause(self) -> None:
        self.player.pause()

    def resume(self) -> None:
        self.player.resume()

    def heard_ms(self, reply: int) -> int:
        return self.player.heard_ms(_name(reply))

    def earcon(self, name: EarconName) -> None:
        self.player.earcon(name)

    def tone(self, frequency_hz: float) -> None:
        self.player.tone(frequency_hz)

    def set_volume(self, volume: float) -> None:
        self.player.set_volume(volume)

    def set_speech_rate(self, rate: float) -> None:
        self.player.set_speech_rate(rate)

    def choose(self, name: str | None) -> None:
        if self._switch is not None:
            self._switch(self.player, name)

    def _emit(self, event: sound.PlayerEvent) -> None:
        if self._post is None:
            return
        match event:
            case sound.PlaybackStarted(reply_id):
                self._post(ev.PlaybackStarted(WHEN_TAKEN, _number(reply_id)))
            case sound.PlaybackFinished():
                self._post(ev.PlaybackFinished(WHEN_TAKEN, _number(event.reply_id), event.heard_ms))
            case _:
                posted = device_event(event)
                if posted is not None:
                    self._post(posted)


def _name(reply: int) -> str:
    return f"{REPLY_PREFIX}{reply}"


def _number(reply_id: str) -> int:
    return int(reply_id.removeprefix(REPLY_PREFIX))


class ToolSights:
    """`app.tools.sights.Sights` on the eyes: waits for the answer, on the tool's thread."""

    def __init__(self, sights: Sights, timeout_s: float = 20.0) -> None:
        self._sights = sights
        self._timeout_s = timeout_s

    def read_text(self) -> str:
        return self._wait(self._sights.read)

    def codes(self) -> str:
        return self._wait(partial(self._sights.tell, "codes"))

    def colour(self) -> str:
        return self._wait(partial(self._sights.tell, "colour"))

    def light(self) -> str:
        return self._wait(partial(self._sights.tell, "light"))

    def _wait(self, look: Callable[[Callable[[Answer], None]], bool]) -> str:
        answers: SimpleQueue[Answer] = SimpleQueue()
        if not look(answers.put):
            raise ValueError("There is no picture: the camera is off, or gives none.")
        try:
            return in_words(answers.get(timeout=self._timeout_s))
        except Empty:
            raise ValueError("Looking took too long.") from None


class SeeingEyes:
    """`app.ports.Eyes` on `video_io.eyes.Eyes`."""

    def __init__(self, choice: str) -> None:
        self.eyes = video.Eyes(
            choice,
            open_source=self._open,
            on_picture=self._on_picture,
            on_event=self._on_event,
            on_advice=self._on_advice,
            on_change=self._on_change,
            on_frame=lambda frame: self.sights.offer(frame),
        )
        self.sights = Sights(self.eyes.newest)
        self._given: tuple[str, bytes] = ("", b"")
        self._post: Post | None = None

    def _open(self, choice: str, *, clock: Callable[[], float]) -> FrameSource:
        name, data = self._given
        if choice == GIVEN and data:
            return ThreadedSource(GivenGrabber(data, name), clock=clock)
        return open_source(choice, clock=clock)

    def show(self, data: bytes, name: str) -> None:
        self._given = (name, data)
        self.eyes.choose(GIVEN)

    def start(self, post: Post) -> None:
        self._post = post
        self.eyes.start()

    def stop(self) -> None:
        self.sights.stop()
        self.eyes.stop()

    def set_on(self, on: bool) -> None:
        self.eyes.set_on(on)

    def begin_turn(self) -> bytes | None:
        return self.eyes.begin_turn()

    def follow(self, on: bool) -> None:
        self.eyes.follow(on)

    def watch(self, on: bool) -> None:
        self.eyes.watch(on)

    def look(self) -> bytes | None:
        return self.eyes.look()

    def read_text(self) -> bool:
        return self.sights.read(lambda answer: self._on_text(answer, asked=True))

    def read_for(self, turn: int) -> bool:
        return self.sights.read(lambda answer: self._on_read_for(turn, answer), what="for the model")

    def watch_text(self, on: bool) -> None:
        self.sights.watch_text((lambda page: self._on_text(page, asked=False)) if on else None)

    def watch_aim(self, on: bool) -> None:
        self.sights.watch_aim(self._on_aim if on else None)

    def watch_light(self, on: bool) -> None:
        self.sights.watch_light(self._on_light if on else None)

    def tell(self, what: ev.SightKind, answered: Callable[[str], None]) -> bool:
        return self.sights.tell(what, lambda answer: answered(in_words(answer)))

    def choose(self, name: str | None) -> None:
        self.eyes.choose(name or video.NO_PICTURES)

    def _on_text(self, answer: Answer, *, asked: bool) -> None:
        if self._post is None:
            return
        if isinstance(answer, Page):
            passages = tuple((passage.text, passage.doubtful) for passage in answer.passages)
            self._post(ev.TextFound(WHEN_TAKEN, passages, answer.advice if asked else "", asked=asked))
        else:
            self._post(ev.TextFound(WHEN_TAKEN, failure=in_words(answer), asked=asked))

    def _on_read_for(self, turn: int, answer: Answer) -> None:
        passages = answer.passages if isinstance(answer, Page) else ()
        text = " ".join(marked(passage.text, passage.doubtful) for passage in passages)
        if self._post is not None:
            self._post(ev.ReadForTurn(WHEN_TAKEN, turn, text))

    def _on_aim(self, advice: Advice) -> None:
        if self._post is not None:
            self._post(ev.AimAdvised(WHEN_TAKEN, advice.text, advice.good))

    def _on_light(self, frequency_hz: float) -> None:
        if self._post is not None:
            self._post(ev.LightMeasured(WHEN_TAKEN, frequency_hz))

    def _on_picture(self, jpeg: bytes) -> None:
        if self._post is not None:
            self._post(ev.PictureTaken(jpeg))

    def _on_change(self, moving: bool) -> None:
        if self._post is not None:
            self._post(ev.SceneChanged(WHEN_TAKEN, moving))

    def _on_advice(self, text: str) -> None:
        if self._post is not None:
            self._post(ev.AdviceGiven(WHEN_TAKEN, text))

    def _on_event(self, event: SourceEvent) -> None:
        if self._post is None or event.kind is SourceEventKind.ENDED:
            return
        if event.kind is SourceEventKind.OPENED:
            self._post(ev.DeviceRuns(WHEN_TAKEN, "pictures", event.label))
        else:
            problem = Problem("pictures", event.message, event.remedy)
            self._post(ev.DeviceFails(WHEN_TAKEN, "pictures", problem))
