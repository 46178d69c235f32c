"""Whose turn it is: speech first while it is short, text when there is plenty, and users before replies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.conversation.schedule import (
    FRAMES_PER_S,
    LONG_LEAD_S,
    TEXT_AHEAD,
    TEXT_GROUP,
    Claim,
    Situation,
    Task,
    Work,
    group_size,
    next_work,
    order,
)

SITUATIONS = st.builds(
    Situation,
    lead_s=st.floats(-5, 60),
    has_spoken=st.booleans(),
    n_text_ahead=st.integers(0, 40),
    text_open=st.booleans(),
    speech_open=st.booleans(),
)


@given(SITUATIONS)
def test_every_situation(now: Situation) -> None:
    work = next_work(now)
    assert (work is None) == (not now.text_open and not now.speech_open)
    if work is None:
        return
    assert 1 <= work.count <= 8
    if work.task is Task.WRITE:
        assert now.text_open
        assert not now.speech_open or now.n_text_ahead + work.count <= TEXT_AHEAD
    else:
        assert now.speech_open
        assert not now.text_open or work.count <= now.n_text_ahead


def test_the_first_frame_is_alone_and_comes_after_the_first_token() -> None:
    assert next_work(Situation(0.0, False, 0, True, True)) == Work(Task.WRITE, 1)
    assert next_work(Situation(0.0, False, 1, True, True)) == Work(Task.SPEAK, 1)
    assert group_size(9.0, has_spoken=False) == 1


@pytest.mark.parametrize(("lead_s", "count"), [(-1.0, 1), (0.1, 1), (0.3, 2), (0.7, 4), (1.5, 8)])
def test_frames_come_in_larger_groups_as_the_lead_grows(lead_s: float, count: int) -> None:
    assert next_work(Situation(lead_s, True, 40, True, True)) == Work(Task.SPEAK, count)


def test_the_talker_goes_first_while_the_lead_is_short_and_the_thinker_when_it_is_long() -> None:
    assert next_work(Situation(0.1, True, 1, True, True)) == Work(Task.SPEAK, 1)
    assert next_work(Situation(LONG_LEAD_S, True, 8, True, True)) == Work(Task.WRITE, TEXT_GROUP)
    assert next_work(Situation(LONG_LEAD_S, True, TEXT_AHEAD, True, True)) == Work(Task.SPEAK, 8)


@given(
    token_ms=st.floats(0.5, 60),
    frame_ms=st.floats(0.5, 70),
    n_tokens=st.integers(1, 80),
    n_frames=st.integers(1, 300),
)
def test_a_whole_reply(token_ms: float, frame_ms: float, n_tokens: int, n_frames: int) -> None:
    """On a machine that is fast enough for both speech never stops; on any machine the reply ends."""
    now_s, first_s, made, tokens, asked_frames, driest_s = 0.0, None, 0, 0, 0, 1e9
    while True:
        lead_s = 0.0 if first_s is None else made / FRAMES_PER_S - (now_s - first_s)
        driest_s = min(driest_s, lead_s) if first_s is not None and made < n_frames else driest_s
        work = next_work(
            Situation(lead_s, first_s is not None, tokens - asked_frames, tokens < n_tokens, made < n_frames)
        )
        if work is None:
            break
        if work.task is Task.WRITE:
            count = min(work.count, n_tokens - tokens)
            tokens += count
            now_s += count * token_ms / 1000
        else:
            asked_frames += work.count
            made = min(n_frames, made + work.count)
            now_s += work.count * frame_ms / 1000
            first_s = now_s if first_s is None else first_s
    assert (tokens, made) == (n_tokens, n_frames)
    if token_ms + frame_ms <= 60:  # a frame needs both within its 80 ms, with a margin for groups
        assert driest_s > -0.08


def test_users_come_before_replies_and_short_leads_before_long_ones() -> None:
    clients = [
        Claim(has_input=False, is_replying=False, lead_s=0.0),
        Claim(has_input=False, is_replying=True, lead_s=3.0),
        Claim(has_input=True, is_replying=False, lead_s=0.0),
        Claim(has_input=False, is_replying=True, lead_s=0.1),
        Claim(has_input=True, is_replying=True, lead_s=5.0),
    ]
    assert order(clients) == [2, 4, 3, 1, 0]
