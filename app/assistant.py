"""The Assistant: one owner thread between the devices, the engine and whoever shows what happens.

Public interface (what a front builds on)::

    assistant = Assistant(parts, settings_store, history)    # put together by `commands.compose`
    unsubscribe = assistant.subscribe(on_view, on_announcement)
    assistant.start()                                        # returns at once; the engine loads in the background
    assistant.send(Describe())                               # from any thread, never blocks
    assistant.stop(timeout_s=3.0)                            # from any thread, twice if need be; ends every process
    assistant.view                                           # the newest snapshot, from any thread
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app import commands as cmd
from app import events as ev
from app.commands import Command
from app.config import Config
from app.conversation import reduce
from app.dialects.abilities import Abilities
from app.effects import Effect
from app.engine.address import is_on_this_machine
from app.engine.choice import engine_choice
from app.history import History
from app.inbox import Inbox, Overflow, Tally
from app.interface import AnnouncementCallback, ViewCallback
from app.latency import LatencyMeter
from app.performer import Performer
from app.ports import (
    EngineBusy,
    EngineDown,
    EngineNote,
    EngineRenews,
    EngineReport,
    EngineSaid,
    EngineUp,
    Message,
    Parts,
    ToolsChanged,
)
from app.prompts import describe
from app.publisher import Publisher
from app.reading import reading_view
from app.safety import SafetyList
from app.settings import Settings, SettingsError, SettingsStore
from app.state import State
from app.translator import Translator
from app.view import Announcement, EngineInfo, Problem, ReadingView, View
from app.wire import INPUT_RATE_HZ, session_update

log = logging.getLogger(__name__)

TICK_S = 0.05
NO_SOURCE = "none"
CAMERA = "camera:0"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place in the queue that somebody waits for."""

    reached: threading.Event


_OVERFLOW: dict[type, Overflow] = {
    ev.LevelMeasured: Overflow.NEWEST,
    ev.PictureTaken: Overflow.NEWEST,
    EngineSaid: Overflow.WAIT,
}


class Assistant:
    """See `app.interface.AssistantInterface`.

    `lossless` is for sound files: a full queue slows the file down instead of losing sound. `observe` gets every event
    and the effects that followed, in the owner thread (logs, tests, benchmarks).
    """

    def __init__(
        self,
        parts: Parts,
        store: SettingsStore,
        history: History | None = None,
        *,
        default_instructions: str = "",
        lossless: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        observe: Callable[[ev.Event, Sequence[Effect]], None] | None = None,
        startup_problems: tuple[Problem, ...] = (),
    ) -> None:
        self._parts = parts
        self._store = store
        self._history = history
        self._default_instructions = default_instructions
        self._voice_overflow = Overflow.WAIT if lossless else Overflow.REFUSE
        self._abilities = Abilities()
        self._clock_source = clock
        self._zero_s = clock()
        self._observe = observe
        self._startup_problems = startup_problems
        self._reached: list[threading.Event] = []
        self._inbox: Inbox[Message | Command | _Mark] = Inbox()
        self._pending: deque[ev.Event] = deque()
        self._latency = LatencyMeter()
        settings = store.settings
        self._state = State(
            config=self._config(settings), muted=not settings.microphone_on, camera_on=settings.camera_on
        )
        self._front = Publisher(
            View(started_at_unix_s=wall_clock(), instructions=settings.instructions or default_instructions)
        )
        self._performer = Performer(
            parts,
            self.post,
            settings,
            history,
            self._latency,
            self._pending.append,
            self._front.announce,
            self._now,
            wall_clock,
        )
        self._refused_ms = Tally()
        self._voice_end_s: float | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    # --- for fronts, from any thread ---

    @property
    def view(self) -> View:
        return self._front.shown

    def start(self) -> None:
        if self._thread is not None:
            raise RuntimeError("this Assistant has been started before; make a new one")
        self._thread = threading.Thread(target=self._run, name="assistant", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 3.0) -> None:
        self._stopping.set()
        self._inbox.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def send(self, command: Command) -> None:
        if not self._inbox.put(command, Overflow.MUST) and not self._stopping.is_set():
            log.warning("a command was lost: the Assistant is far behind (%s)", type(command).__name__)

    def subscribe(
        self, on_view: ViewCallback, on_announcement: AnnouncementCallback | None = None
    ) -> Callable[[], None]:
        return self._front.subscribe(on_view, on_announcement)

    # --- for the parts, from any thread ---

    def post(self, message: Message) -> None:
        """A part reports. Blocks only the writers that are meant to wait (engine, sound files)."""
        is_sound = isinstance(message, ev.VoiceSound)
        overflow = self._voice_overflow if is_sound else _OVERFLOW.get(type(message), Overflow.MUST)
        if self._inbox.put(message, overflow) or not isinstance(message, ev.VoiceSound | ev.VoiceStarted):
            return
        if message.samples is not None:
            self._refused_ms.add(len(message.samples) * 1000 / INPUT_RATE_HZ)

    def wait_handled(self, timeout_s: float) -> bool:
        """Waits until everything posted and sent before is handled and shown in `view`; for headless fronts."""
        reached = threading.Event()
        return self._inbox.put(_Mark(reached), Overflow.MUST) and reached.wait(timeout_s)

    # --- the owner thread ---

    def _run(self) -> None:
        try:
            self._begin()
            ticked_s = self._now()
            while not self._stopping.is_set():
                for message in self._inbox.take(TICK_S):
                    self._handle(message)
                now_s = self._now()
                if now_s - ticked_s >= TICK_S:
                    ticked_s = now_s
                    self._tick(now_s)
                self._front.publish(now_s, at_once=bool(self._reached))
                for reached in self._reached:
                    reached.set()
                self._reached.clear()
            self._feed(ev.QuitAsked(self._now()))  # before the parts stop: the player says what was heard
        except Exception as error:
            # The owner's end must be a visible state, whatever ended it.
            log.exception("the Assistant has stopped")
            problem = Problem("assistant", f"Sightline has stopped working: {error!r}.", "Start the app again.")
            self._front.announce(Announcement(f"{problem.message} {problem.remedy}", urgent=True))
            self._refresh()
            self._front.change(problems=(*self._state.problems, problem))
            self._front.publish(self._now(), at_once=True)
        finally:
            self._end()

    def _begin(self) -> None:
        settings = self._store.settings
        for message in self._store.messages:
            self._feed(ev.ProblemRaised(self._now(), Problem("settings", message, "")))
        for problem in self._startup_problems:
            self._feed(ev.ProblemRaised(self._now(), problem))
        mouth, ears, eyes = self._parts.mouth, self._parts.ears, self._parts.eyes
        # The ears first: what is said while the engine loads is kept, and loading it leaves little time for others.
        ears.set_on(settings.microphone_on)
        ears.start(self.post)
        mouth.set_volume(settings.volume)
        mouth.set_speech_rate(settings.speech_rate)
        mouth.start(self.post)
        self._performer.start_engine()
        eyes.set_on(settings.camera_on)
        eyes.start(self.post)
        self._refresh()

    def _end(self) -> None:
        self._inbox.close()
        # The engine first: it takes longest, and its process must not outlive us.
        self._parts.engine.stop(2.0)
        self._parts.ears.stop()
        self._parts.mouth.stop()
        self._parts.eyes.stop()
        self._parts.tools.stop()
        if self._history is not None:
            self._history.close()

    def _now(self) -> float:
        return self._clock_source() - self._zero_s

    def _feed(self, event: ev.Event) -> None:
        """One event and all that follow from it at once."""
        self._pending.append(event)
        while self._pending:
            following = self._pending.popleft()
            self._state, effects = reduce(self._state, following)
            if self._observe is not None:
                self._observe(following, effects)
            for effect in effects:
                self._performer.perform(effect)

    def _tick(self, now_s: float) -> None:
        reply = self._state.reply
        if reply is not None and reply.sounding:
            heard_ms = self._parts.mouth.heard_ms(reply.number)
            if heard_ms > reply.heard_ms:
                self._feed(ev.PlaybackProgress(now_s, reply.number, heard_ms))
        self._feed(ev.Tick(now_s))
        self._refresh()

    def _handle(self, message: Message | Command | _Mark) -> None:
        now_s = self._now()
        match message:
            case _Mark(reached):
                self._reached.append(reached)
            case ev.VoiceSound(utterance, samples, sound_s):
                self._performer.sounds.add(utterance, samples)
                self._latency.sound_arrived(sound_s, now_s)
            case ev.LevelMeasured(rms_dbfs):
                self._front.change(level_dbfs=round(rms_dbfs, 1))
            case ev.SoundLost():
                self._count_loss(message)
            case ev.PictureTaken(jpeg):
                self._performer.send_picture(jpeg)
            case ToolsChanged():
                self._update_session()
            case EngineUp() | EngineBusy() | EngineDown() | EngineSaid() | EngineRenews() | EngineNote():
                self._engine(message, now_s)
            case _ if isinstance(message, ev.Event):
                self._take(message, now_s)
            case _:
                self._command(message, now_s)
        self._refresh()

    def _take(self, event: ev.Event, now_s: float) -> None:
        """An event that a part has posted: it gets the time, and its sound and its place in the latency are kept."""
        event = replace(event, at_s=now_s)
        match event:
            case ev.VoiceStarted(_, utterance):
                self._voice_end_s = None
                self._performer.sounds.begin(utterance)
                if event.samples is not None:
                    self._performer.sounds.add(utterance, event.samples)
            case ev.VoicePaused():
                self._voice_end_s = event.silent_since_s
            case ev.VoiceResumed():
                self._voice_end_s = None
            case ev.VoiceEnded(_, utterance):
                # Without a pause before (push-to-talk released, muted) the last voice was now.
                voice_end_s = self._voice_end_s if self._voice_end_s is not None else event.sound_s
                if voice_end_s is not None:
                    self._latency.utterance_ended(utterance, voice_end_s, now_s)
            case ev.PlaybackStarted(_, reply):
                latency = self._latency.playback_started(reply, now_s)
                if latency is not None:
                    self._front.change(latency=latency)
        self._feed(event)

    def _count_loss(self, report: ev.SoundLost) -> None:
        if report.kind == "speaker":
            self._front.change(drop_outs=report.total)
        else:
            self._front.change(lost_input_ms=self._front.view.lost_input_ms + round(report.lost_ms))

    def _engine(self, message: EngineReport, now_s: float) -> None:
        if message.session != self._performer.session:
            return  # an engine, or a conversation with it, that is over
        info = self._front.view.engine
        match message:
            case EngineUp(model, url, remote, voices, abilities):
                self._performer.model_name = model
                self._performer.translator = Translator()  # also when an older session was renewed
                self._front.change(engine=EngineInfo(remote, url, model, voices, ready=True))
                self._abilities = abilities
                self._feed(ev.ConfigChanged(now_s, self._config(self._store.settings)))
                self._update_session()
                self._tell_voice(model, has_one=bool(voices) or not abilities.takes_back)
                self._feed(ev.EngineReady(now_s))
            case EngineRenews(reason):
                self._front.change(engine=replace(info, ready=False, detail="beginning a new session"))
                self._feed(ev.EngineRenewed(now_s, reason))
            case EngineNote(text):
                self._feed(ev.EngineTold(now_s, text))
            case EngineBusy(detail):
                url = self._store.settings.engine_url
                remote = bool(url) and not is_on_this_machine(url)
                self._front.change(engine=replace(info, remote=remote, url=url, ready=False, detail=detail))
            case EngineDown(reason, remedy, final):
                self._front.change(engine=replace(info, ready=False, detail=reason))
                self._feed(ev.EngineLost(now_s, reason, remedy, final))
            case EngineSaid(server_event):
                for event in self._performer.translator.translate(server_event, now_s):
                    self._mark(event, now_s)
                    self._feed(event)

    def _mark(self, event: ev.Event, now_s: float) -> None:
        reply = self._state.reply
        if reply is None:
            return
        if isinstance(event, ev.ReplyText) and event.response_id == reply.response_id:
            self._latency.text_arrived(reply.number, now_s)
        elif isinstance(event, ev.ReplySpeech) and event.response_id == reply.response_id:
            self._latency.speech_arrived(reply.number, now_s)

    # --- commands ---

    def _command(self, command: Command, now_s: float) -> None:
        match command:
            case cmd.SendText(text):
                # A window can hand over half a character (a lone surrogate), which neither wire nor history can hold.
                self._feed(ev.TextEntered(now_s, text.encode("utf-8", "replace").decode("utf-8")))
            case cmd.Describe():
                self._look(describe(now_s, self._store.settings.detail))
            case cmd.ReadAloud():
                self._feed(ev.ReadAsked(now_s))
            case cmd.ShowPicture(data, name):
                self._feed(ev.SourceAsked(now_s))
                self._parts.eyes.show(data, name)
            case cmd.LookThrough(source, then):
                question = describe(now_s, self._store.settings.detail) if then == "describe" else None
                self._feed(ev.SourceAsked(now_s, question, read=then == "read"))
                self._parts.eyes.choose(source)
            case cmd.BackToCamera():
                self._feed(ev.SourceAsked(now_s))
                kept = self._store.settings.pictures
                self._parts.eyes.choose(kept if kept != NO_SOURCE else CAMERA)
            case cmd.CheckAgain():
                self._feed(ev.CheckAsked(now_s))
            case cmd.MoveReading(step):
                self._feed(ev.ReadingMoved(now_s, step))
            case cmd.LookAt(what):
                self._feed(ev.SightAsked(now_s, what))
            case cmd.SetInstantText(on):
                if not on or self._sees():
                    self._feed(ev.InstantTextSet(now_s, on))
            case cmd.SetAim(on):
                if not on or self._sees():
                    self._feed(ev.AimSet(now_s, on))
            case cmd.SetLightTone(on):
                if not on or self._sees():
                    self._feed(ev.LightToneSet(now_s, on))
            case cmd.SetMicrophone(on):
                self._feed(ev.MicrophoneSet(now_s, on))
                self._keep({"microphone_on": on})
            case cmd.SetCamera(on):
                self._feed(ev.CameraSet(now_s, on))
                self._keep({"camera_on": on})
            case cmd.SetPrivacy(on):
                self._feed(ev.MicrophoneSet(now_s, not on))
                self._feed(ev.CameraSet(now_s, not on))
                self._keep({"microphone_on": not on, "camera_on": not on})
            case cmd.SetNarration(on):
                if not on or self._sees():
                    self._feed(ev.NarrationSet(now_s, on))
            case cmd.PushToTalk(down):
                self._feed(ev.PushToTalkSet(now_s, down))
            case cmd.Stop():
                self._feed(ev.StopAsked(now_s))
            case cmd.Repeat():
                self._feed(ev.RepeatAsked(now_s))
            case cmd.NewConversation():
                self._feed(ev.NewConversationAsked(now_s))
            case cmd.Retry():
                self._feed(ev.RetryAsked(now_s))
            case cmd.AnswerQuestion(yes):
                self._feed(ev.PermissionGiven(now_s, yes))
            case cmd.ChooseDevice(kind, name):
                self._choose(kind, name)
            case cmd.ChangeSettings(changes):
                self._change(dict(changes))

    def _look(self, event: ev.TextEntered) -> None:
        if self._sees():
            self._feed(event)

    def _sees(self) -> bool:
        """Whether there is a picture; if not, the user is told."""
        if self._state.camera_on and self._parts.eyes.look() is not None:
            return True
        why = "The camera is off." if not self._state.camera_on else "There is no picture."
        self._front.announce(Announcement(f"{why} Turn the camera on or choose another picture source.", urgent=True))
        return False

    def _choose(self, kind: str, name: str | None) -> None:
        if kind == "microphone":
            self._parts.ears.choose(name)
            self._keep({"microphone": name})
        elif kind == "speaker":
            self._parts.mouth.choose(name)
            self._keep({"speaker": name})
        else:
            none = name in (None, NO_SOURCE)
            self._feed(ev.PicturesEnded(self._now()) if none else ev.SourceAsked(self._now()))
            self._parts.eyes.choose(name)
            self._keep({"pictures": name or NO_SOURCE})

    def _keep(self, changes: dict[str, object]) -> bool:
        """Validates and writes; a problem says why not. False when nothing changed."""
        now_s = self._now()
        try:
            self._store.change(changes)
        except SettingsError as error:
            self._feed(ev.ProblemRaised(now_s, Problem("settings", str(error), "Nothing was changed.")))
            return False
        except OSError as error:
            message = f"The settings could not be written to {self._store.path}: {error.strerror}."
            self._feed(ev.ProblemRaised(now_s, Problem("settings", message, "They hold until you quit.")))
        else:
            self._feed(ev.ProblemOver(now_s, "settings"))
        self._performer.settings = self._store.settings
        return True

    def _change(self, changes: dict[str, object]) -> None:
        before = self._store.settings
        if not self._keep(changes):
            return
        after = self._store.settings
        self._feed(ev.ConfigChanged(self._now(), self._config(after)))
        self._parts.mouth.set_volume(after.volume)
        self._parts.mouth.set_speech_rate(after.speech_rate)
        self._front.change(instructions=after.instructions or self._default_instructions)
        if engine_choice(before) != engine_choice(after):
            self._feed(ev.RetryAsked(self._now()))
        if _tool_settings(before) != _tool_settings(after):
            self._parts.tools.refresh()
        if _session_settings(before) != _session_settings(after):
            self._update_session()
        for kind in ("microphone", "speaker", "pictures"):
            if getattr(before, kind) != getattr(after, kind):
                self._choose(kind, getattr(after, kind))
        if before.microphone_on != after.microphone_on:
            self._feed(ev.MicrophoneSet(self._now(), after.microphone_on))
        if before.camera_on != after.camera_on:
            self._feed(ev.CameraSet(self._now(), after.camera_on))

    def _tell_voice(self, model: str, *, has_one: bool) -> None:
        """Says once that a model of ours has no voice. What others' engines say of voices means nothing."""
        if has_one:
            self._feed(ev.ProblemOver(self._now(), "voice"))
            return
        message = f"The model {model} has no voice: it answers in text."
        self._feed(ev.ProblemRaised(self._now(), Problem("voice", message, "Choose another model to hear answers.")))

    def _update_session(self) -> None:
        settings = self._store.settings
        voices = self._front.view.engine.voices
        voice = settings.voice
        if voices and voice not in voices:
            voice = voices[0]  # another checkpoint has other voices
        self._front.change(voice=voice)
        instructions = settings.instructions or self._default_instructions
        tools = self._parts.tools.offer() if settings.tools and self._abilities.tools else ()
        self._parts.engine.send(session_update(instructions, voice, settings.speech, transcribe=True, tools=tools))

    def _config(self, settings: Settings) -> Config:
        return Config(
            speculate=self._abilities.takes_back,
            judges=self._abilities.judges,
            words_of_turn=self._abilities.takes_back,
            speech=settings.speech,
            says=self._abilities.says,
            read_typed=self._abilities.read_text,
            read_spoken=self._abilities.read_text and self._abilities.takes_back,
            reply_limit_s=settings.reply_limit_s,
            wake_phrase=settings.wake_phrase if settings.called_only else "",
            announce=settings.announce,
            check_answers=settings.check_answers,
            safety=SafetyList(settings.safety_phrases),
        )

    # --- what is shown ---

    def _reading_view(self) -> ReadingView | None:
        """The same object as long as nothing of it has changed."""
        made, shown = reading_view(self._state.reading), self._front.view.reading
        return shown if made == shown else made

    def _refresh(self) -> None:
        state = self._state
        lost_ms = round(self._refused_ms.take() + self._performer.sounds.take_lost_ms())
        self._front.change(
            phase=state.phase,
            transcript=state.transcript,
            problems=state.problems,
            devices=state.devices,
            microphone_on=not state.muted,
            camera_on=state.camera_on,
            narrating=state.narrating,
            reading=self._reading_view(),
            instant_text=state.instant_text,
            aiming=state.aiming,
            light_tone=state.light_tone,
            push_to_talk=state.push_to_talk,
            question=state.questions[0][1] if state.questions else "",
            lost_input_ms=self._front.view.lost_input_ms + lost_ms,
            conversation_id=self._performer.conversation_id,
        )


def _tool_settings(settings: Settings) -> tuple[object, ...]:
    return (settings.tools, settings.tools_off, settings.mcp_servers, settings.mcp_allowed)


def _session_settings(settings: Settings) -> tuple[object, ...]:
    """What an engine is told again when it has changed."""
    return (settings.voice, settings.instructions, settings.speech, *_tool_settings(settings))
