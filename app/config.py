"""What the user or the composition chose for the conversation: immutable, replaced as a whole by `ConfigChanged`."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.safety import SafetyList


@dataclass(frozen=True, slots=True)
class Config:
    """The rules' numbers; the defaults are what the tests of the conversation run with."""

    speculate: bool = True
    """Start a reply at a probable end of the user's turn."""
    speech: bool = True
    """Replies are spoken (False: text only)."""
    transcribe: bool = True
    """The engine says what the user said."""
    judges: bool = True
    """It does so without replying to it, too."""
    words_of_turn: bool = True
    """The words that the engine gives for an item are those of the whole turn up to it (False: of that item alone)."""
    wake_phrase: str = ""
    """Only what holds these words is answered; "": everything is."""
    backchannel_s: float = 1.0
    """A voice during a reply that is shorter than this may be an "mm-hm": it is judged, not obeyed."""
    judge_pause_s: float = 1.5
    """How long a reply stays silent while an aside is judged."""
    judge_limit_s: float = 20.0
    """After this an aside that the engine did not transcribe is forgotten."""
    stuck_s: float = 10.0
    """An engine that does not end a cancelled reply for so long is started again."""
    silent_s: float = 180.0
    """As is one that says nothing at all for so long while it owes a reply."""
    thinking_cue_s: float = 0.9
    """The "thinking" earcon comes when a reply takes longer."""
    read_typed: bool = False
    """What is read in the picture goes to the engine with a typed question about it."""
    read_spoken: bool = False
    """The same with a spoken one."""
    says: bool = False
    """The engine can speak given words exactly; otherwise screen readers are given them."""
    reply_limit_s: float = 60.0
    """Longest reply."""
    check_answers: bool = False
    """Answers with a number, a text or a danger in them are checked by themselves."""
    restart_limit: int = 3
    """The engine is started again so often within `restart_window_s`, then it counts as failed."""
    restart_window_s: float = 300.0
    restart_delay_s: float = 0.5
    """Before the first restart; doubles each time."""
    announce: str = "unheard"
    """What screen readers are told (see `app.announcing`): "unheard" or "all"."""
    safety: SafetyList = field(default_factory=SafetyList)
