"""The reducer against a simulated engine and player, driven by random users, devices and crashes.

The world around the reducer is small but honest: the engine obeys the protocol (one reply at a time, nothing appended
while it replies), the player plays what it is given, and every event may come at any moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app import effects as fx
from app import events as ev
from app.config import Config
from app.conversation import reduce
from app.state import MAX_ASKS, MAX_COMMITS, MAX_ITEMS, MAX_TURNS, Engine, State
from app.view import Phase

RATE_HZ = 24_000
WORDS = ["Well, ", "there ", "is ", "a red ", "cup ", "ahead. ", "Do you ", "want it? "]
SPOKEN = ["mm-hm", "no", "", None, "what time is it", "yes"]


@dataclass
class World:
    """Engine, player and user as far as the reducer can tell them apart."""

    state: State = field(default_factory=lambda: State(config=Config()))
    at_s: float = 0.0
    engine_up: bool = False
    response: int | None = None  # number of the reply being made
    response_cancelled: bool = False
    n_responses: int = 0
    texts: dict[int, str] = field(default_factory=dict)
    queue: list[int] = field(default_factory=list)  # samples given to the player, of `playing`
    playing: int | None = None
    play_done: bool = False
    play_started: bool = False
    paused: bool = False
    heard: dict[int, int] = field(default_factory=dict)
    given_ms: dict[int, int] = field(default_factory=dict)
    committed: list[str] = field(default_factory=list)
    n_items: int = 0
    utterance: int = 0
    speaking: bool = False
    silent: bool = False
    guesses: dict[int, int] = field(default_factory=dict)  # reply begun on a guess -> utterance that it answers
    effects: list[fx.Effect] = field(default_factory=list)
    reading: int = 0  # the turn whose picture is being read

    def feed(self, event: ev.Event) -> None:
        pending = [event]
        while pending:
            following = pending.pop(0)
            self.state, effects = reduce(self.state, following)
            for effect in effects:
                answer = self.perform(effect)
                if answer is not None:
                    pending.append(answer)
        self.check()

    # --- what the parts do ---

    def perform(self, effect: fx.Effect) -> ev.Event | None:
        self.effects.append(effect)
        match effect:
            case fx.StreamSound() | fx.CommitInput() | fx.SendText() | fx.SendRead() | fx.CreateReply():
                assert self.engine_up, "nothing is sent to an engine that is down"
                assert self.response is None, "nothing new is sent while a reply is being made"
                if isinstance(effect, fx.CommitInput):
                    self.n_items += 1
                    self.committed.append(f"user-{self.n_items}")
                if isinstance(effect, fx.CreateReply):
                    self.response, self.response_cancelled = effect.reply, False
            case fx.CancelReply(reply, _):
                if self.response == reply:
                    self.response_cancelled = True
            case fx.TruncateReply(item_id, heard_ms):
                assert self.engine_up
                reply = int(item_id.removeprefix("item-"))
                assert self.response != reply, "truncated only after the engine has stopped making it"
                assert heard_ms == self.heard.get(reply, 0), "the engine is told exactly what was heard"
            case fx.PlaySpeech(reply, samples):
                current = self.state.reply
                assert current is not None or self.playing == reply
                assert not self.speculative(reply), "nothing of a guess is played"
                assert self.playing in (None, reply), "one reply at a time"
                if self.playing is None:
                    self.playing, self.play_done, self.play_started = reply, False, False
                self.queue.append(len(samples))
                self.given_ms[reply] = self.given_ms.get(reply, 0) + len(samples) * 1000 // RATE_HZ
            case fx.FinishSpeech(reply):
                assert self.playing == reply
                self.play_done = True
            case fx.FlushPlayback(reply):
                if self.playing == reply:
                    self.playing, self.queue = None, []
                return ev.PlaybackStopped(self.at_s, reply, self.heard.get(reply, 0))
            case fx.PausePlayback():
                assert not self.paused
                self.paused = True
            case fx.ResumePlayback():
                assert self.paused
                self.paused = False
            case fx.ReplayLast(reply):
                assert self.playing is None
                self.playing, self.queue, self.play_done, self.play_started = reply, [2400], True, False
            case fx.ReadForModel(turn):
                self.reading = turn
            case fx.StartEngine():
                self.engine_up, self.response = False, None
                self.committed = []
            case fx.NewSession():
                self.engine_up, self.response = False, None
                self.committed = []
            case _:
                pass
        return None

    def speculative(self, reply: int) -> bool:
        """The user's turn that this reply answers is not certainly over (asked of the world, not of the state)."""
        return self.speaking and self.guesses.get(reply) == self.utterance

    # --- what may happen ---

    def happen(self, what: str, choice: int) -> None:
        self.at_s += [0.01, 0.2, 1.0, 30.0][choice % 4] if what == "tick" else 0.01
        getattr(self, f"do_{what}")(choice)

    def do_narration(self, choice: int) -> None:
        self.feed(ev.NarrationSet(self.at_s, choice % 4 != 0))

    def do_scene(self, choice: int) -> None:
        before = (self.state.reply, self.state.last_reply)
        busy = self.speaking or self.state.asks or self.state.push_to_talk
        self.feed(ev.SceneChanged(self.at_s, moving=choice % 2 == 0))
        if busy or not self.state.narrating or not self.state.camera_on:
            assert (self.state.reply, self.state.last_reply) == before, "only who is not busy narrates"

    def do_tick(self, _: int) -> None:
        self.feed(ev.Tick(self.at_s))

    def do_voice(self, choice: int) -> None:
        if not self.speaking:
            self.utterance += 1
            self.speaking, self.silent = True, False
            self.feed(ev.VoiceStarted(self.at_s, self.utterance, forced=choice % 7 == 0))
        elif not self.silent:
            self.silent = True
            before = self.state.last_reply
            self.feed(ev.VoicePaused(self.at_s, self.utterance))
            if self.state.last_reply != before:
                self.guesses[self.state.last_reply] = self.utterance
        elif choice % 3 == 0:
            self.silent = False
            self.feed(ev.VoiceResumed(self.at_s, self.utterance))
        elif choice % 3 == 1:
            self.speaking = False
            self.feed(ev.VoiceEnded(self.at_s, self.utterance, voiced_s=[0.2, 0.5, 1.5][choice % 2 + choice // 6 % 2]))
        else:
            self.speaking = False
            self.feed(ev.VoiceDropped(self.at_s, self.utterance))

    def do_reply(self, choice: int) -> None:
        """The engine goes on with what it does."""
        if not self.engine_up:
            return
        if self.response is None:
            if self.committed:
                item = self.committed.pop(0)
                self.feed(ev.InputCommitted(self.at_s, item))
                if choice % 2 and self.response is None and self.engine_up:
                    self.feed(ev.UserTranscribed(self.at_s, item, SPOKEN[choice % len(SPOKEN)]))
            return
        number = self.response
        name = f"resp-{number}"
        if self.committed:
            self.feed(ev.InputCommitted(self.at_s, self.committed.pop(0)))
        elif number not in self.texts:
            self.texts[number] = ""
            self.feed(ev.ReplyCreated(self.at_s, number, name))
            if self.response == number and not self.response_cancelled:
                self.feed(ev.ReplyItem(self.at_s, name, f"item-{number}"))
        elif self.response_cancelled or choice % 8 == 0:
            self.response = None
            self.feed(ev.ReplyDone(self.at_s, name, "out of memory" if choice % 40 == 0 else ""))
        else:
            self.say(number, choice)

    def say(self, number: int, choice: int) -> None:
        name = f"resp-{number}"
        if choice % 2:
            self.texts[number] += WORDS[choice % len(WORDS)]
            self.feed(ev.ReplyText(self.at_s, name, WORDS[choice % len(WORDS)], None))
        else:
            self.feed(ev.ReplySpeech(self.at_s, name, np.zeros(1920 * (1 + choice % 3), np.float32)))

    def do_stale(self, choice: int) -> None:
        """Something late of an old reply, or of one that never was."""
        old = f"resp-{choice % 5 - 2}"
        if self.response is not None and old == f"resp-{self.response}":
            return
        reply = self.state.reply
        if reply is not None and reply.response_id == old:
            return
        before = self.state
        for event in (
            ev.ReplyText(self.at_s, old, "stale", None),
            ev.ReplySpeech(self.at_s, old, np.zeros(1920, np.float32)),
            ev.ReplyItem(self.at_s, old, "item-old"),
            ev.PlaybackProgress(self.at_s, -1, 5000),
            ev.PlaybackFinished(self.at_s, -1, 5000),
        ):
            self.feed(event)
        assert self.state.transcript == before.transcript
        assert self.state.reply == before.reply

    def do_play(self, choice: int) -> None:
        if self.playing is None or self.paused:
            return
        number = self.playing
        if self.queue:
            n_samples = self.queue.pop(0)
            self.heard[number] = self.heard.get(number, 0) + n_samples * 1000 // RATE_HZ
            if not self.play_started:
                self.play_started = True
                self.feed(ev.PlaybackStarted(self.at_s, number))
            elif choice % 2:
                self.feed(ev.PlaybackProgress(self.at_s, number, self.heard[number]))
        elif self.play_done:
            self.playing = None
            self.feed(ev.PlaybackFinished(self.at_s, number, self.heard.get(number, 0)))

    def do_engine(self, choice: int) -> None:
        if not self.engine_up:
            if self.state.engine is Engine.FAILED:
                self.feed(ev.RetryAsked(self.at_s))
            self.engine_up = True
            self.feed(ev.EngineReady(self.at_s))
        elif choice % 6 == 0:
            self.engine_up, self.response, self.committed = False, None, []
            self.feed(ev.EngineLost(self.at_s, "killed", final=choice % 12 == 0))

    def do_text(self, _: int) -> None:
        self.feed(ev.TextEntered(self.at_s, "hello"))

    def do_read(self, choice: int) -> None:
        """What is in the picture has been read, or nothing was there."""
        self.feed(ev.ReadForTurn(self.at_s, self.reading, ["Whole milk", ""][choice % 2]))

    def do_turn(self, choice: int) -> None:
        """A whole utterance, of the length that the choice says, over silence or over a reply."""
        while self.speaking:
            self.do_voice(1)
        self.do_voice(1)
        if choice % 4:
            self.do_voice(1)
        self.speaking = False
        self.feed(ev.VoiceEnded(self.at_s, self.utterance, voiced_s=[0.2, 1.5][choice % 2]))

    def do_answer(self, choice: int) -> None:
        """The engine makes some of a reply and the player plays some of it."""
        for number in range(choice % 12):
            self.do_reply(1 + number % 3)
            if choice % 5:
                self.do_play(number)

    def do_command(self, choice: int) -> None:
        events: list[ev.Event] = [
            ev.StopAsked(self.at_s),
            ev.RepeatAsked(self.at_s),
            ev.MicrophoneSet(self.at_s, choice % 4 != 0),
            ev.CameraSet(self.at_s, choice % 2 == 0),
            ev.PushToTalkSet(self.at_s, choice % 2 == 0),
            ev.NewConversationAsked(self.at_s),
        ]
        self.feed(events[choice % len(events)])

    # --- what must always hold ---

    def check(self) -> None:
        state = self.state
        assert len(state.asks) <= MAX_ASKS + 1
        assert len(state.closing) <= 4
        assert len(state.items) <= MAX_ITEMS
        assert len(state.cut_items) <= MAX_ITEMS
        assert len(state.transcript) <= MAX_TURNS
        assert len(state.commits) <= MAX_COMMITS
        assert len(state.problems) <= 20
        numbers = [turn.number for turn in state.transcript]
        assert numbers == sorted(set(numbers))
        assert state.playback_paused == self.paused
        if state.reply is not None and state.reply.speculative:
            assert self.playing != state.reply.number
        for turn in state.transcript:
            if turn.role == "assistant" and turn.spoken:
                assert turn.heard_ms > 0 or turn.done
                assert turn.heard_ms in self.heard.values() or not turn.done

    def settle(self) -> None:
        """The user falls silent and everything else takes its course: it must end at rest."""
        if self.state.push_to_talk:
            self.feed(ev.PushToTalkSet(self.at_s, False))
        for round_number in range(400):
            if self.speaking:
                self.silent = True
                self.happen("voice", 1)
            if not self.engine_up:
                self.happen("engine", 1)
            self.happen("reply", 8 if round_number % 4 == 3 else 1)
            self.happen("play", 1)
            self.happen("tick", 2)
        expected = Phase.PAUSED if self.state.muted else Phase.LISTENING
        assert self.state.phase is expected, self.state
        assert self.state.reply is None
        assert self.state.closing == ()
        assert self.state.asks == ()
        assert self.state.aside is None
        assert not self.paused
        assert self.playing is None


KINDS = (
    ["voice"] * 3
    + ["turn"] * 4
    + ["reply"] * 4
    + ["answer"] * 6
    + ["play"] * 3
    + ["tick"] * 3
    + ["text"] * 2
    + ["read"] * 3
)
ACTIONS = st.tuples(
    st.sampled_from([*KINDS, "engine", "narration", "scene", "scene", "command", "command", "stale"]),
    st.integers(0, 119),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ACTIONS, min_size=5, max_size=60), st.booleans(), st.booleans(), st.sampled_from(["", "ok"]), st.booleans()
)
@example([("turn", 0), ("voice", 1), ("answer", 29), ("reply", 0), ("engine", 0)], False, False, "", False)
def test_any_course_of_events_keeps_the_invariants_and_comes_to_rest(
    actions: list[tuple[str, int]], speculate: bool, speech: bool, wake_phrase: str, reads: bool
) -> None:
    world = World()
    chosen = Config(speculate=speculate, speech=speech, wake_phrase=wake_phrase, read_typed=reads, read_spoken=reads)
    world.state = replace(world.state, config=chosen)
    world.happen("engine", 1)
    for what, choice in actions:
        world.happen(what, choice)
    world.settle()


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
def test_after_any_course_of_events_the_next_question_is_answered(actions: list[tuple[str, int]]) -> None:
    world = World()
    world.happen("engine", 1)
    for what, choice in actions:
        world.happen(what, choice)
    world.settle()
    before = world.state.last_turn
    world.feed(ev.TextEntered(world.at_s, "And now?"))
    for choice in (1, 1, 1, 2, 2, 8):
        world.happen("reply", choice)
    for _ in range(10):
        world.happen("play", 1)
    answers = [t for t in world.state.transcript if t.role == "assistant" and t.number > before and t.done]
    assert len(answers) == 1
    assert not answers[0].cut


@settings(max_examples=100, deadline=None)
@given(st.lists(ACTIONS, max_size=40))
@example([("voice", 0), ("voice", 0), ("answer", 101), ("engine", 0)])  # truncated a guess on an engine that was gone
def test_reducing_is_pure(actions: list[tuple[str, int]]) -> None:
    """The same state and event give the same answer, and the old state is not touched."""
    world = World()
    world.happen("engine", 1)
    for what, choice in actions:
        world.happen(what, choice)
    state = world.state
    for event in (ev.Tick(world.at_s), ev.StopAsked(world.at_s), ev.EngineLost(world.at_s, "gone")):
        first, second = reduce(state, event), reduce(state, event)
        assert first == second
    assert world.state is state
