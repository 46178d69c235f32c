"""The conversation: a pure function `(state, event) -> (state, effects)`. No clock, no thread, no Qt, no device.

The rules that people feel:
- The user's voice silences a reply at once. If it goes on, the reply is cut there; if it was short, its words decide
  (`app.asides`); if it was none, the reply goes on where it stopped.
- A reply may be begun on a guess that the user has finished; none of it is played or shown before that is certain.
- The transcript holds what was heard, never what was only generated.
- Nothing is sent to the engine while it makes a reply.
"""

from __future__ import annotations

from dataclasses import replace

from app import hearing, replies, tool_calls
from app.announcing import announce
from app.asides import abandon, watch_aside
from app.checking import go_on_checking
from app.effects import (
    BeginHistory,
    ClearInput,
    DropSound,
    Effect,
    NewSession,
    ReplayLast,
    SetCamera,
    SetMicrophone,
    StartEngine,
)
from app.events import (
    AdviceGiven,
    AimAdvised,
    AimSet,
    CameraSet,
    CheckAsked,
    ConfigChanged,
    DeviceFails,
    DeviceKind,
    DeviceRuns,
    EngineLost,
    EngineReady,
    EngineRenewed,
    EngineTold,
    Event,
    InputCommitted,
    InstantTextSet,
    LightMeasured,
    LightToneSet,
    MicrophoneSet,
    NarrationSet,
    NewConversationAsked,
    PermissionGiven,
    PermissionWanted,
    PicturesEnded,
    PictureSent,
    PlaybackFinished,
    PlaybackProgress,
    PlaybackStarted,
    PlaybackStopped,
    ProblemOver,
    ProblemRaised,
    PushToTalkSet,
    QuitAsked,
    Rang,
    ReadAsked,
    ReadForTurn,
    ReadingMoved,
    RepeatAsked,
    ReplyCreated,
    ReplyDone,
    ReplyItem,
    ReplyRefused,
    ReplySpeech,
    ReplyText,
    ReplyTruncated,
    RetryAsked,
    SceneChanged,
    SightAsked,
    SightSeen,
    SourceAsked,
    StopAsked,
    TextEntered,
    TextFound,
    Tick,
    ToolCalled,
    ToolFinished,
    UserTranscribed,
    VoiceDropped,
    VoiceEnded,
    VoicePaused,
    VoiceResumed,
    VoiceStarted,
)
from app.looks import look, stop_looking
from app.narration import narrate, narration_set, scene_changed
from app.phrases import phrase
from app.reading import (
    aim_advised,
    aim_set,
    end_reading,
    go_on,
    instant_text_set,
    light_measured,
    light_tone_set,
    read_asked,
    sight_seen,
    text_found,
)
from app.state import MAX_TEXT_CHARS, Ask, Engine, Reply, State, Step
from app.turns import (
    add_ask,
    cut,
    notice,
    picture_sent,
    put_turn,
    read_for_turn,
    record_all,
    resume,
    say_failed,
    serve,
)
from app.view import Phase, TranscriptTurn


def reduce(state: State, event: Event) -> tuple[State, tuple[Effect, ...]]:
    """One event. Never raises for any event in any state; the effects are to be carried out in order."""
    step = Step(state, event.at_s)
    _dispatch(step, event)
    go_on_checking(step)
    hearing.after_overlap(step)
    serve(step)
    narrate(step, state)
    go_on(step, state)
    _report(step, state.phase)
    announce(step, state)
    return step.state, tuple(step.effects)


def _dispatch(step: Step, event: Event) -> None:
    match event:
        case Tick():
            _tick(step)
        case VoiceStarted():
            hearing.voice_started(step, event)
        case VoicePaused():
            hearing.voice_paused(step, event)
        case VoiceResumed():
            hearing.voice_resumed(step, event)
        case VoiceEnded():
            hearing.voice_ended(step, event)
        case VoiceDropped():
            hearing.voice_dropped(step, event)
        case TextEntered():
            _text_entered(step, event)
        case MicrophoneSet():
            if event.on == step.state.muted:
                step.set(muted=not event.on)
                step.say("Microphone on." if event.on else "Microphone off.")
            step.do(SetMicrophone(event.on))
        case CameraSet():
            if event.on != step.state.camera_on:
                step.set(camera_on=event.on, scene=None)  # what changed before is no longer in the picture
                step.say("Camera on." if event.on else "Camera off.")
            if not event.on:
                stop_looking(step)
            step.do(SetCamera(event.on))
        case SourceAsked():
            _source_asked(step, event)
        case PicturesEnded():
            step.set(source_asked=None)
            stop_looking(step)
        case NarrationSet():
            narration_set(step, event)
        case SceneChanged():
            scene_changed(step, event)
        case ReadAsked() | SightAsked() | ReadingMoved() | CheckAsked():
            look(step, event)
        case PictureSent(_, jpeg):
            picture_sent(step, jpeg)
        case ReadForTurn():
            read_for_turn(step, event)
        case TextFound():
            text_found(step, event)
        case SightSeen():
            sight_seen(step, event)
        case LightToneSet():
            light_tone_set(step, event)
        case LightMeasured():
            light_measured(step, event)
        case AimSet():
            aim_set(step, event)
        case AimAdvised():
            aim_advised(step, event)
        case InstantTextSet():
            instant_text_set(step, event)
        case PushToTalkSet():
            hearing.push_to_talk(step, event)
        case StopAsked():
            _stop(step, "stopped")
        case RepeatAsked():
            _repeat(step)
        case NewConversationAsked():
            _new_conversation(step)
        case RetryAsked():
            _retry(step)
        case QuitAsked():
            cut(step, "stopped")
        case ConfigChanged(_, config):
            step.set(config=config)
        case DeviceRuns():
            _name_device(step, event.kind, event.name)
            if step.remove_problem(event.kind):
                step.say(f"Using {event.name}.")
            elif event.kind == "pictures" and step.state.source_asked is not None:
                step.say(f"Looking at {event.name}.")
            if event.kind == "pictures":
                _source_gives(step)
        case DeviceFails():
            _name_device(step, event.kind, "")
            step.raise_problem(event.problem)
            if event.kind == "pictures":
                step.set(source_asked=None)
        case AdviceGiven(_, text):
            if step.state.utterance is None and step.state.reply is None:
                step.say(text)
        case ProblemRaised():
            step.raise_problem(event.problem, alert=event.alert)
        case ProblemOver():
            if step.remove_problem(event.code) and event.announcement:
                step.say(event.announcement)
        case EngineReady():
            replies.engine_ready(step, event)
        case EngineLost():
            replies.engine_lost(step, event)
        case EngineRenewed():
            replies.engine_renewed(step, event)
        case EngineTold():
            notice(step, event.text)
            step.say(event.text)
        case ReplyCreated():
            replies.reply_created(step, event)
        case ReplyRefused():
            replies.reply_refused(step, event)
        case ReplyItem():
            replies.reply_item(step, event)
        case ReplyText():
            replies.reply_text(step, event)
        case ReplySpeech():
            replies.reply_speech(step, event)
        case ReplyDone():
            replies.reply_done(step, event)
        case ToolCalled():
            tool_calls.tool_called(step, event)
        case ToolFinished():
            tool_calls.tool_finished(step, event)
        case PermissionWanted():
            tool_calls.permission_wanted(step, event)
        case PermissionGiven():
            tool_calls.permission_given(step, event)
        case Rang():
            notice(step, event.text)
            step.earcon("listening")
            step.say(event.text, urgent=True)
        case ReplyTruncated():
            replies.reply_truncated(step, event)
        case InputCommitted():
            replies.input_committed(step, event)
        case UserTranscribed():
            replies.user_transcribed(step, event)
        case PlaybackStarted():
            replies.playback_started(step, event)
        case PlaybackProgress():
            replies.playback_progress(step, event)
        case PlaybackStopped():
            replies.playback_stopped(step, event)
        case PlaybackFinished():
            replies.playback_finished(step, event)


def _source_asked(step: Step, event: SourceAsked) -> None:
    if step.state.camera_on:
        step.remove_problem("pictures")  # of the source before
        step.set(source_asked=event)
    else:
        step.say("The camera is off, so no picture is looked at. Turn it on.", urgent=True)


def _source_gives(step: Step) -> None:
    asked = step.state.source_asked
    if asked is None:
        return
    step.set(source_asked=None)
    if asked.read:
        read_asked(step, ReadAsked(step.at_s))
    elif asked.question is not None:
        _text_entered(step, replace(asked.question, at_s=step.at_s))


def _name_device(step: Step, kind: DeviceKind, name: str) -> None:
    devices = step.state.devices
    match kind:
        case "microphone":
            step.set(devices=replace(devices, microphone=name))
        case "speaker":
            step.set(devices=replace(devices, speaker=name))
        case "pictures":
            step.set(devices=replace(devices, picture_source=name))


def _report(step: Step, before: Phase) -> None:
    """Earcons and announcements that follow from the phase alone."""
    phase = step.state.phase
    if phase is before or (step.state.narrating and before is not Phase.STARTING):
        return  # who is told about every change is not told after each that it is over
    if step.state.reading is not None and step.state.reading.active:
        return  # between two sentences that are read
    if phase is Phase.LISTENING and before is not Phase.HEARING:
        # After a reply that was heard its end is the sign. A tone then falls on quick users' first word, and the echo
        # canceller takes it out of their voice.
        if before is not Phase.SPEAKING:
            step.earcon("listening")
        step.say("Ready. Speak, or type." if before is Phase.STARTING else "Listening.")


# --- commands -------------------------------------------------------------------------------------------------------


def _text_entered(step: Step, event: TextEntered) -> None:
    text = event.text.strip()
    if not text:
        return
    known = None if event.shown else phrase(text, event.at_s)
    if known is not None:
        put_turn(step, TranscriptTurn(step.next_turn(), "user", event.at_s, text, done=True))
        look(step, known)
        return
    if step.state.engine is Engine.FAILED:
        say_failed(step)
        return
    if len(text) > MAX_TEXT_CHARS:
        step.say(f"The text has {len(text)} characters; at most {MAX_TEXT_CHARS} are taken.", urgent=True)
        return
    abandon(step)
    utterance = step.state.utterance
    if step.state.reply is not None and not step.state.reply.speculative:
        cut(step, "interrupted")
    if utterance is not None and utterance.overlap:
        hearing.after_overlap(step)
    limit_s = event.limit_s if event.limit_s is not None else step.state.config.reply_limit_s
    ask = Ask(turn=step.next_turn(), at_s=event.at_s, text=text, picture=event.picture, limit_s=limit_s)
    if add_ask(step, ask):
        put_turn(step, TranscriptTurn(ask.turn, "user", event.at_s, event.shown or text, done=True))


def _stop(step: Step, cut_by: str) -> None:
    """Silence: the reply, what waits, what is read aloud, and what is being said to us."""
    end_reading(step, cut_by)
    abandon(step)
    spoke = step.state.reply is not None
    cut(step, cut_by)
    if any(ask.streaming for ask in step.state.asks):
        step.do(ClearInput())
    for ask in step.state.asks:
        if ask.utterance is not None:
            step.do(DropSound(ask.utterance))
    if step.state.utterance is not None:
        step.do(DropSound(step.state.utterance.number))
    step.set(asks=(), utterance=None)
    resume(step)
    if spoke:
        step.say("Stopped.")


def _repeat(step: Step) -> None:
    state = step.state
    if state.reply is not None or state.utterance is not None or state.asks:
        step.say("Repeat works when nobody is speaking.")
        return
    if not state.can_repeat:
        step.say("There is nothing to repeat yet.")
        return
    number = step.next_reply()
    reply = Reply(
        number, 0, Ask(0, step.at_s), step.at_s, step.at_s, played=True, done=True, finish_sent=True, replay=True
    )
    step.set(reply=reply)
    step.do(ReplayLast(number))


def _new_conversation(step: Step) -> None:
    _stop(step, "stopped")
    record_all(step)  # the history keeps what was heard of it
    step.set(
        reading=None,
        last_answer=None,
        check=None,
        picture=b"",
        transcript=(),
        closing=(),
        aside=None,
        commits=(),
        items=(),
        item_words=(),
        cut_items=(),
        can_repeat=False,
    )
    step.do(BeginHistory())
    if step.state.engine is Engine.READY:
        step.set(engine=Engine.STARTING)
        step.do(NewSession())
    step.say("New conversation.")


def _retry(step: Step) -> None:
    if step.state.engine is not Engine.FAILED:
        replies.forget_engine(step)
    step.remove_problem("engine failed")
    step.remove_problem("engine lost")
    step.set(engine=Engine.STARTING, restarts_s=())
    step.do(StartEngine(0.0))


# --- time -----------------------------------------------------------------------------------------------------------


def _tick(step: Step) -> None:
    state = step.state
    config = state.config
    utterance = state.utterance
    if (
        utterance is not None
        and utterance.overlap
        and not utterance.silent
        and step.at_s - utterance.started_at_s >= config.backchannel_s
    ):
        hearing.went_on(step)
    watch_aside(step)
    reply = step.state.reply
    thinking = reply is not None and not (reply.speculative or reply.played or reply.done or reply.cued)
    if reply is not None and thinking and step.at_s - reply.asked_at_s >= config.thinking_cue_s:
        step.reply(cued=True)
        step.earcon("thinking")
    stuck = any(not c.engine_done and step.at_s - c.since_s >= config.stuck_s for c in step.state.closing)
    silent = reply is not None and not reply.done and step.at_s - reply.active_at_s >= config.silent_s
    if step.state.engine is Engine.READY and (stuck or silent):
        replies.engine_lost(step, EngineLost(step.at_s, "it no longer answers."))
