"""Speech that is made slower than it is heard: gaps fall between sentences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.conversation import reply as reply_module
from model.conversation.events import SpeechDelta, TextDelta
from model.conversation.pacing import Pacer, may_start, sentence_ends
from model.conversation.plain_decoding import PlainSpeaker
from model.flash import Flash
from tests.model.talk import greedy_session

FRAME_S = 0.08


def gaps(sentences: list[int], cost_s: float, rate: float | None) -> tuple[list[tuple[int, int]], float]:
    """Plays a reply of sentences (in frames), each frame made in `cost_s`.

    Returns the gaps, as (sentence, frame in it that came too late), and when the first sound was let go.
    """
    pacer: Pacer[tuple[int, int]] = Pacer(rate)
    now_s, ends_s, first_s = 0.0, None, 0.0
    found = []
    for number, n_frames in enumerate(sentences):
        for frame in range(n_frames):
            now_s += cost_s
            rest_s = FRAME_S * (n_frames - 1 - frame)
            for piece in pacer.offer((number, frame), FRAME_S, rest_s, now_s):
                if ends_s is None:
                    first_s = now_s
                elif now_s > ends_s + 1e-9:
                    found.append(piece)
                ends_s = max(ends_s or now_s, now_s) + FRAME_S
    assert not pacer.flush(now_s)
    return found, first_s


@given(
    st.lists(st.integers(min_value=1, max_value=120), min_size=1, max_size=6),
    st.floats(min_value=0.01, max_value=0.5),
)
@example(sentences=[2], cost_s=0.125)  # one piece is not a flow: the second came after the first was heard
def test_a_slow_engine_makes_no_gap_inside_a_sentence(sentences: list[int], cost_s: float) -> None:
    """The engine's speed is the test's; every gap is before the first frame of a sentence."""
    found, _ = gaps(sentences, cost_s, rate=cost_s / FRAME_S)
    assert all(frame == 0 for _, frame in found)


def test_a_fast_engine_never_waits() -> None:
    for rate in (None, 0.9):
        found, first_s = gaps([40, 30], 0.07, rate)
        assert not found
        assert first_s == pytest.approx(0.07)


def test_the_first_reply_learns_its_rate() -> None:
    """Before anything is known the first pieces go at once; from then on the sentence waits."""
    found, _ = gaps([60, 60], 0.16, None)
    first = [frame for number, frame in found if number == 0]
    assert len(first) <= 5  # while it learns, and once when it has waited for the rest
    assert [frame for number, frame in found if number == 1] in ([], [0])


def test_it_waits_no_longer_than_it_must() -> None:
    """At a rate of 1.5 a sentence of 4 s starts when a little over a third of it is there."""
    _, first_s = gaps([50], 0.12, rate=1.5)
    assert 0.12 * 50 * 0.3 < first_s < 0.12 * 50 * 0.5


def test_the_lead_counts() -> None:
    assert may_start(held_s=0.1, lead_s=2.0, rest_s=2.0, rate=1.8, piece_s=0.08)
    assert not may_start(held_s=0.1, lead_s=0.0, rest_s=2.0, rate=1.8, piece_s=0.08)
    assert may_start(held_s=0.1, lead_s=0.0, rest_s=0.0, rate=9.0, piece_s=0.08)


def test_where_sentences_end() -> None:
    assert sentence_ends("It costs 3.50. Really?") == [14, 22]
    assert sentence_ends('He said "no." Then') == [13]
    assert sentence_ends("一。二") == [2]
    assert sentence_ends("and so on") == []


class Clock:
    """Time as the test says it passes."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("variant", ["plain", "hold"])
def test_a_slow_session_speaks_its_sentences_whole(
    variant: str, flash_of: Callable[[str], Flash], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame takes twice as long as it is heard: once that is known, what is played has no gap in a sentence."""
    clock = Clock()
    monkeypatch.setattr(reply_module, "perf_counter", clock)
    session = greedy_session(flash_of(variant), "Be brief.")
    speak = PlainSpeaker.speak

    def slow(self: PlainSpeaker, count: int) -> object:
        made = speak(self, count)
        clock.now_s += 2 * FRAME_S * len(made.get().frames)
        return made

    monkeypatch.setattr(PlainSpeaker, "speak", slow)
    for turn in range(2):
        session.read("go on")
        heard_at_s, gaps_at, texts_first = None, [], []
        for event in session.reply(max_tokens=12, max_frames=30):
            if isinstance(event, TextDelta):
                texts_first.append(heard_at_s is None)
            if isinstance(event, SpeechDelta):
                if heard_at_s is not None and clock.now_s > heard_at_s + 1e-9:
                    gaps_at.append(event.frame)
                begun_s = clock.now_s if heard_at_s is None else max(heard_at_s, clock.now_s)
                heard_at_s = begun_s + len(event.samples) / 24_000
        assert session._last is not None
        spoken = session._last.spoken
        ends = [spoken.frame_of(letters) for letters in sentence_ends(spoken.text)]
        if turn:
            # A random voice does not stop with its text: what it says after that belongs to no sentence.
            within = [frame for frame in gaps_at if frame < spoken.frame_of(len(spoken.text)) - 1]
            assert all(any(abs(frame - end) <= 1 for end in ends) for frame in within)
            assert all(texts_first)  # the text is shown before it is heard
        assert session._pacer.rate == pytest.approx(2.0, rel=0.3)
