"""The conversation's state: plain immutable values, and the `Step` in which a new one is put together.

How the pieces hang together: the user's turns wait as `Ask`s; the first of them is streamed to the engine and becomes a
`Reply`. A reply that is cut short becomes a `Closing` until the player has said how much was heard and the engine has
stopped making it. The engine gets nothing new while there is a live reply, a closing or an aside being judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from app.config import Config
from app.effects import Announce, Earcon, Effect
from app.events import SceneChanged, SourceAsked
from app.heard import Piece, full_text
from app.view import Announcement, DeviceNames, EarconName, Phase, Problem, TranscriptTurn

SPEECH_RATE_HZ = 24_000
MAX_TURNS = 200
MAX_ASKS = 4
"""Turns that may wait for the engine. Overflow: the newest is refused, with an announcement."""
MAX_COMMITS = 8
"""So many committed pieces of sound may wait for the engine to name them; then no more is given to it to judge."""
MAX_ITEMS = 50
MAX_TEXT_CHARS = 20_000
"""Longest typed text; longer ones are refused."""


class Engine(Enum):
    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Utterance:
    """The user is speaking now."""

    number: int
    started_at_s: float
    forced: bool = False
    overlap: bool = False
    """It began while a reply was being made or played, and it is not yet decided whether it interrupts."""
    silent: bool = False
    """A probable end was reported."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that a reply calls."""

    call_id: str
    name: str
    arguments: str
    started: bool = False
    output: str | None = None
    """None: it is not done."""
    picture: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A user's turn on its way to the engine: sound (`utterance`) or text."""

    turn: int
    at_s: float
    utterance: int | None = None
    text: str = ""
    picture: bool = True
    limit_s: float = 60.0
    ended: bool = True
    guessed: bool = False
    """Its probable end was reported."""
    streaming: bool = False
    words: str = ""
    """What the user said, where the transcription came before the end was certain."""
    earlier: str = ""
    """Words of the turn's earlier pieces, from before the user went on; they hold until all the words are known."""
    attempts: int = 0
    """Engines that were lost over it."""
    narration: bool = False
    """Nobody asked: the scene has changed."""
    outputs: tuple[tuple[str, str], ...] = ()
    """Results of the tools that the reply before this called: (call, output)."""
    rounds: int = 0
    """Replies in a row before this one that called tools."""
    said: str = ""
    """Nobody asked: these words, read or seen without the model, are to be spoken exactly."""
    read: str | None = None
    """What was read in the picture, to be given with it; None: not known (yet), "": nothing, or it was given."""
    read_due_s: float | None = None
    """Until when a typed question waits for that; None: it was not looked for."""
    check: bool = False
    """An earlier question once more: the answer is compared, and neither played nor shown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply being made or played."""

    number: int
    turn: int
    ask: Ask
    asked_at_s: float
    active_at_s: float
    """When the engine last said something about it."""
    speech: bool = True
    """It was asked for as speech (False: as text only)."""
    speculative: bool = False
    """Begun on a guess: the user's turn may go on, and nothing of it may be played or shown."""
    response_id: str | None = None
    item_id: str | None = None
    pieces: tuple[Piece, ...] = ()
    n_samples: int = 0
    unplayed: tuple[NDArray[np.float32], ...] = ()
    """Speech that must not be played yet."""
    clear: bool = True
    """The safety list lets the text so far be spoken."""
    played: bool = False
    """The player has got speech of it."""
    sounding: bool = False
    """Its first sample was heard."""
    heard_ms: int = 0
    done: bool = False
    """The engine has finished it."""
    finish_sent: bool = False
    failure: str = ""
    limited: bool = False
    """It reached the limit and was cancelled; what was made until then is played."""
    cued: bool = False
    picture: bytes = field(default=b"", repr=False)
    """The newest picture, as JPEG, that the engine got with the question."""
    replay: bool = False
    """The last reply's sound again; the engine knows nothing of it."""
    calls: tuple[Call, ...] = ()
    over_at_ms: int | None = None
    """All of it was heard, and it waits for its tools; how much there was to hear."""

    @property
    def waits_for_tools(self) -> bool:
        return any(call.output is None for call in self.calls)

    @property
    def text(self) -> str:
        return full_text(self.pieces)

    @property
    def total_ms(self) -> int:
        """Length of the sound that has arrived."""
        return self.n_samples * 1000 // SPEECH_RATE_HZ


@dataclass(frozen=True, slots=True)
class Closing:
    """A reply that was cut short."""

    reply: Reply
    cut_by: str
    since_s: float
    heard_ms: int | None = None
    """None until the player has said."""
    recorded: bool = False
    """The transcript has what was heard of it."""
    engine_done: bool = False
    gone: bool = False
    """The engine that made it is gone; nothing is to be truncated."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A short utterance during a reply, to be judged by its words: a backchannel or a turn?"""

    utterance: int
    at_s: float
    voiced_s: float
    judging_since_s: float | None = None
    """None: waits until the engine is free."""
    item_id: str | None = None
    over: bool = False
    """Forgotten; only its item is still to be deleted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer about a picture, as it may be checked."""

    turn: int
    question_turn: int
    question: str
    """What was asked in words; "" where the transcript's turn will say."""
    text: str
    at_s: float
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """Looks anew at what the answer of `turn` is about."""

    turn: int
    by_itself: bool
    asked: int = 0
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read aloud, or was read last."""

    turn: int
    passages: tuple[tuple[str, tuple[str, ...]], ...]
    """(text, its doubtful words)"""
    at: int = 0
    heard: int = 0
    """Passages that have been said, the present one included."""
    active: bool = True
    """It goes on by itself."""
    due_s: float = 0.0
    """When the present passage has probably been said, where nobody reports its end."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything the reducer knows."""

    config: Config = field(default_factory=Config)
    engine: Engine = Engine.STARTING
    muted: bool = False
    camera_on: bool = True
    push_to_talk: bool = False
    utterance: Utterance | None = None
    asks: tuple[Ask, ...] = ()
    reply: Reply | None = None
    closing: tuple[Closing, ...] = ()
    aside: Aside | None = None
    playback_paused: bool = False
    transcript: tuple[TranscriptTurn, ...] = ()
    commits: tuple[int | None, ...] = ()
    """Commits that the engine has not answered: the turn each belongs to, None for an aside."""
    items: tuple[tuple[str, int], ...] = ()
    """User items of the engine and the turns they belong to, newest last."""
    item_words: tuple[tuple[str, str], ...] = ()
    """The words of user items, newest last."""
    cut_items: tuple[tuple[str, int], ...] = ()
    """Replies that were truncated and the turns they belong to, newest last."""
    last_turn: int = 0
    last_reply: int = 0
    can_repeat: bool = False
    restarts_s: tuple[float, ...] = ()
    problems: tuple[Problem, ...] = ()
    devices: DeviceNames = field(default_factory=DeviceNames)
    reading: Reading | None = None
    instant_text: bool = False
    aiming: bool = False
    light_tone: bool = False
    questions: tuple[tuple[str, str], ...] = ()
    """What tools ask before they act: (call, question), oldest first."""
    source_asked: SourceAsked | None = None
    """The user has chosen a source that has given no picture yet."""
    picture: bytes = field(default=b"", repr=False)
    """The picture, as JPEG, that was sent last for a turn that has no reply yet."""
    last_answer: Answer | None = None
    """The newest answer about a picture."""
    check: Check | None = None
    narrating: bool = False
    to_announce: tuple[str, ...] = ()
    """What screen readers are told when nobody speaks any more."""
    scene: SceneChanged | None = None
    """A change that has not been told yet."""
    quiet_since_s: float = 0.0
    """While narrating: since when nobody has spoken or waited."""

    @property
    def phase(self) -> Phase:
        """What the user is shown."""
        if self.engine is Engine.FAILED:
            return Phase.FAILED
        if self.utterance is not None:
            return Phase.HEARING
        if self.reply is not None and self.reply.sounding:
            return Phase.SPEAKING
        if self.engine is Engine.STARTING:
            return Phase.STARTING
        checking = self.reply is not None and self.reply.ask.check
        if (self.reply is not None and not checking) or any(not ask.check for ask in self.asks):
            return Phase.REPLYING
        return Phase.PAUSED if self.muted else Phase.LISTENING


class Step:
    """One reduction under way: the state so far and the effects so far. Lives only inside `reduce`."""

    def __init__(self, state: State, at_s: float) -> None:
        self.state = state
        self.at_s = at_s
        self.effects: list[Effect] = []

    def set(self, **changes: object) -> None:
        self.state = replace(self.state, **changes)  # type: ignore[arg-type]

    def reply(self, **changes: object) -> None:
        """Changes the present reply (which must exist)."""
        assert self.state.reply is not None
        self.state = replace(self.state, reply=replace(self.state.reply, **changes))  # type: ignore[arg-type]

    def do(self, *effects: Effect) -> None:
        self.effects.extend(effects)

    def say(self, text: str, urgent: bool = False) -> None:
        self.do(Announce(Announcement(text, urgent)))

    def earcon(self, name: EarconName) -> None:
        self.do(Earcon(name))

    def next_turn(self) -> int:
        self.set(last_turn=self.state.last_turn + 1)
        return self.state.last_turn

    def next_reply(self) -> int:
        self.set(last_reply=self.state.last_reply + 1)
        return self.state.last_reply

    def add_problem(self, problem: Problem) -> None:
        kept = tuple(p for p in self.state.problems if p.code != problem.code)
        self.set(problems=(*kept, problem)[-20:])

    def raise_problem(self, problem: Problem, *, alert: bool = True) -> None:
        """A problem that is new is said; `alert`: with the error earcon."""
        self.add_problem(problem)
        if alert:
            self.earcon("error")
            self.say(f"{problem.message} {problem.remedy}".strip(), urgent=True)

    def remove_problem(self, code: str) -> bool:
        """True when there was one."""
        kept = tuple(p for p in self.state.problems if p.code != code)
        found = len(kept) != len(self.state.problems)
        if found:
            self.set(problems=kept)
        return found
