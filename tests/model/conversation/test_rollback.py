"""interrupt(): the conversation is bit for bit one in which the unheard part never existed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.conversation.events import SpeechDelta, TextDelta
from model.conversation.session import Session
from model.errors import InputError
from model.flash import Flash
from model.prompts import TEXT_LEAD_FRAMES
from tests.model.talk import assert_same, greedy_session, noise, picture, say, snapshot

SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def ask(session: Session) -> None:
    session.see(picture(64, 64), at_s=0.5)
    session.hear(noise(1.5))


@given(n_events=st.integers(0, 12), go_on=st.booleans())
@settings(max_examples=10, **SHARED)
def test_unheard_reply_never_existed(flash: Flash, n_events: int, go_on: bool) -> None:
    """Whenever it is dropped: before its first event, in the middle, after its end."""
    session, other = greedy_session(flash, "Be brief."), greedy_session(flash, "Be brief.")
    for talk in (session, other):
        ask(talk)
    other.commit()
    stream = session.reply(max_tokens=5, max_frames=5)
    for _, _ in zip(range(n_events), stream, strict=False):
        pass
    assert session.interrupt(heard_ms=0) == ""
    assert_same(snapshot(session), snapshot(other))
    for talk in (session, other):
        if go_on:  # the user's turn is open again
            talk.hear(noise(2.2, seed=2))
        assert_same(snapshot(session), snapshot(other)) if talk is other else None
    one, two = say(session), say(other)
    assert one.tokens == two.tokens
    # Not bit for bit: how many frames become sound at once depends on the clock.
    np.testing.assert_allclose(one.samples, two.samples, atol=1e-5)


@given(heard_ms=st.integers(1, 1600))
@settings(max_examples=10, **SHARED)
def test_only_what_was_heard_is_kept(flash_of: Callable[[str], Flash], heard_ms: int) -> None:
    """With time-aligned text: tokens follow the speech, and the state is that of a reply which ended there."""
    flash = flash_of("hold")
    session, other = greedy_session(flash, "Be brief."), greedy_session(flash, "Be brief.")
    for talk in (session, other):
        ask(talk)
    said = say(session, max_tokens=16, max_frames=20)
    kept = session.interrupt(heard_ms=heard_ms)
    n_tokens = len(session._last.spoken.tokens) if session._last is not None else 0
    heard_frames = min(20, int(np.ceil((heard_ms * 24 + 555) / 1920)))
    assert n_tokens == (16 if heard_frames >= 20 else max(0, min(16, heard_frames - TEXT_LEAD_FRAMES)))
    assert said.text.startswith(kept)
    if n_tokens:
        assert say(other, max_tokens=n_tokens, max_frames=2).tokens == said.tokens[:n_tokens]
    else:
        other.commit()
    assert_same(snapshot(session), snapshot(other))
    for talk in (session, other):
        talk.hear(noise(1.0, seed=3))
    assert say(session).tokens == say(other).tokens


def test_text_says_which_frame_speaks_it(flash_of: Callable[[str], Flash]) -> None:
    session = greedy_session(flash_of("hold"))
    ask(session)
    said = say(session, max_tokens=10, max_frames=10)
    frames = [event.frame for event in said.events if isinstance(event, TextDelta)]
    assert frames == sorted(frames)
    assert all(TEXT_LEAD_FRAMES <= frame < 10 + TEXT_LEAD_FRAMES for frame in frames)


@given(heard_ms=st.integers(0, 3000), n_events=st.integers(0, 14))
@settings(max_examples=10, **SHARED)
def test_without_time_alignment_the_cut_is_in_proportion(flash: Flash, heard_ms: int, n_events: int) -> None:
    session, other = greedy_session(flash), greedy_session(flash)
    for talk in (session, other):
        ask(talk)
    stream = session.reply(max_tokens=8, max_frames=8)
    for _, _ in zip(range(n_events), stream, strict=False):
        pass
    session.interrupt(heard_ms=heard_ms)
    kept = len(session._last.spoken.tokens) if session._last is not None else 0
    if kept:
        say(other, max_tokens=kept, max_frames=2)
    else:
        other.commit()
    assert_same(snapshot(session), snapshot(other))


def test_all_heard_keeps_all(flash: Flash) -> None:
    session = greedy_session(flash)
    ask(session)
    said = say(session, max_tokens=8, max_frames=8)
    before = snapshot(session)
    assert session.interrupt(heard_ms=60_000) == said.text
    assert_same(before, snapshot(session))


def test_interrupting_again_cuts_further(flash: Flash) -> None:
    session = greedy_session(flash)
    ask(session)
    said = say(session, max_tokens=12, max_frames=10)
    first = session.interrupt(heard_ms=500)
    second = session.interrupt(heard_ms=250)
    assert said.text.startswith(first)
    assert first.startswith(second)


def test_interrupt_while_the_user_already_speaks(flash: Flash) -> None:
    """Sound that waits for its window is kept; the reply is cut exactly all the same."""
    session, other = greedy_session(flash), greedy_session(flash)
    for talk in (session, other):
        ask(talk)
    say(session)
    session.hear(noise(1.0, seed=5))
    session.interrupt(heard_ms=0)
    other.commit()
    other.hear(noise(1.0, seed=5))
    assert say(session).tokens == say(other).tokens


def test_late_interrupt_cuts_rows_out(flash: Flash) -> None:
    """When windows of the next turn are read already, the unheard rows go, and the later ones stay."""
    session = greedy_session(flash, "Be brief.")
    ask(session)
    say(session, max_tokens=8, max_frames=8)
    before_new = session.n_positions
    session.hear(noise(2.5, seed=5))
    n_new = session.n_positions - before_new
    kept = session.interrupt(heard_ms=330)
    assert kept
    n_kept = len(session._last.spoken.tokens) if session._last is not None else 0
    assert 0 < n_kept < 8
    assert session.n_positions == before_new + n_new - (8 - n_kept)
    assert say(session).done.stats.n_text_tokens == 6
    other = greedy_session(flash, "Be brief.")
    ask(other)
    say(other, max_tokens=8, max_frames=8)
    other.hear(noise(2.5, seed=5))
    other.interrupt(heard_ms=0)
    assert all(piece.kind.value != "reply" for piece in other.context.pieces)
    assert say(other).done.stats.n_text_tokens == 6


def test_closing_a_reply_keeps_what_was_generated(flash: Flash) -> None:
    session = greedy_session(flash)
    ask(session)
    stream = session.reply(max_tokens=8, max_frames=8)
    for event in stream:
        if isinstance(event, SpeechDelta) and event.frame == 3:
            break
    stream.close()
    assert session._last is not None
    assert len(session._last.spoken.tokens) == 4
    session.read("go on")
    assert say(session).done.stats.n_text_tokens == 6


@pytest.mark.parametrize("heard_ms", [-1, float("nan"), float("inf")])
def test_bad_times_are_refused(flash: Flash, heard_ms: float) -> None:
    session = greedy_session(flash)
    ask(session)
    say(session)
    with pytest.raises(InputError, match="heard_ms"):
        session.interrupt(heard_ms=heard_ms)
