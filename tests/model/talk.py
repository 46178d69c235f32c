"""Helpers for tests that hold conversations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model.conversation.events import ReplyDone, ReplyEvent, SpeechDelta, TextDelta
from model.conversation.session import Session
from model.flash import Flash
from model.network.sampling import Sampling

GREEDY = Sampling(0.0)
GREEDY_TALKER = Sampling(0.0, repetition_penalty=1.05)


def greedy_session(flash: Flash, instructions: str = "", **options: object) -> Session:
    """A session without chance."""
    settings: dict[str, object] = {"max_positions": 4096, **options}
    return Session(
        flash,
        instructions,
        "ethan",
        thinker_sampling=GREEDY,
        talker_sampling=GREEDY_TALKER,
        predictor_sampling=GREEDY,
        **settings,  # type: ignore[arg-type]
    )


def noise(seconds: float, seed: int = 0) -> npt.NDArray[np.float32]:
    """White noise at 16 kHz."""
    return (np.random.default_rng(seed).standard_normal(round(16_000 * seconds)) * 0.1).astype(np.float32)


def picture(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A random picture."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@dataclass(frozen=True)
class Said:
    """A reply, gathered."""

    text: str
    tokens: list[int]
    samples: npt.NDArray[np.float32]
    events: list[ReplyEvent]
    done: ReplyDone


def say(session: Session, *, max_tokens: int = 6, max_frames: int = 5, speech: bool = True) -> Said:
    """Runs a reply to its end."""
    events = list(session.reply(max_tokens=max_tokens, max_frames=max_frames, speech=speech))
    done = events[-1]
    assert isinstance(done, ReplyDone)
    assert session._last is not None
    samples = [event.samples for event in events if isinstance(event, SpeechDelta)]
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    joined = np.concatenate(samples) if samples else np.zeros(0, np.float32)
    return Said(text, list(session._last.spoken.tokens), joined, events, done)


def snapshot(session: Session) -> dict[str, object]:
    """Everything that decides how a conversation goes on, except what has arrived and waits."""
    context = session.context
    thinker, talker = context.thinker_cache, context.talker_cache
    return {
        "thinker": [tensor[:, : thinker.length].clone() for tensor in (*thinker.keys, *thinker.values)],
        "talker": [tensor[:, : talker.length].clone() for tensor in (*talker.keys, *talker.values)],
        "positions": (context.thinker_position, context.talker_position, context.turn),
        "pending": [(rows.kind, rows.ids, rows.in_talker, rows.jump) for rows in context.pending],
        "pieces": [(piece.kind, piece.turn, piece.n_thinker, piece.n_talker) for piece in merged(session)],
        "state": session._listener.state,
    }


def merged(session: Session) -> list[object]:
    """The ledger with neighbours of one item joined: where marks cut it is not part of the conversation."""
    from dataclasses import replace

    out: list = []
    for piece in session.context.pieces:
        last = out[-1] if out else None
        if last is not None and (last.item, last.kind, last.turn) == (piece.item, piece.kind, piece.turn):
            out[-1] = replace(last, n_thinker=last.n_thinker + piece.n_thinker, n_talker=last.n_talker + piece.n_talker)
        else:
            out.append(replace(piece))
    return out


def assert_same(one: dict[str, object], other: dict[str, object]) -> None:
    """Bit for bit."""
    for name in ("thinker", "talker"):
        for mine, theirs in zip(one[name], other[name], strict=True):  # type: ignore[call-overload]
            assert torch.equal(mine, theirs), name
    for name in ("positions", "pending", "pieces", "state"):
        assert one[name] == other[name], name
