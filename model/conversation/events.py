"""What a reply consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class TextDelta:
    """More text of the reply. `frame` is the codec frame (80 ms each) at which its first letter is spoken, as far as
    the text is time-aligned; otherwise the frame at which the Talker was given it."""

    text: str
    frame: int


@dataclass(frozen=True)
class SpeechDelta:
    """The samples of one codec frame, float32 at 24 kHz (the first one is shorter)."""

    samples: npt.NDArray[np.float32]
    frame: int


@dataclass(frozen=True)
class CallMade:
    """The model has called a tool; it is neither spoken nor part of the text. `arguments`: JSON text of an object."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ReplyStats:
    """Times are from the call of reply(), in seconds; None where there was none."""

    n_text_tokens: int
    n_frames: int
    n_samples: int
    first_text_s: float | None
    first_speech_s: float | None
    total_s: float
    thinker_s: float
    talker_s: float
    code2wav_s: float
    stop: str  # "end": the model ended its text; "length": the limit did
    speech_stop: str  # "end", "silence" (it missed its end), "length" (the bound on frames) or "none" (no speech)
    first_token_s: float | None = None  # the first token was there, though it may not make a letter yet


@dataclass(frozen=True)
class ReplyDone:
    """The last event of a reply."""

    item: int
    text: str
    stats: ReplyStats


ReplyEvent = TextDelta | SpeechDelta | CallMade | ReplyDone
