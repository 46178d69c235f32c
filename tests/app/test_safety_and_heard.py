"""The safety list, and how much of a text was heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.heard import Piece, full_text, heard_text
from app.safety import DEFAULT_PHRASES, SafetyList, Verdict

LIST = SafetyList(("you should die", "kill*", "Très mal"))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("", Verdict.CLEAR),
        ("You should", Verdict.HOLD),
        ("You should go.", Verdict.CLEAR),
        ("you", Verdict.CLEAR),
        ("You SHOULD, die!", Verdict.BLOCKED),
        ("You should die", Verdict.HOLD),  # may become "diet"
        ("You should diet now", Verdict.CLEAR),
        ("They killed it.", Verdict.BLOCKED),
        ("skill ", Verdict.CLEAR),
        ("tres   mal.", Verdict.BLOCKED),
    ],
)
def test_verdicts(text: str, verdict: Verdict) -> None:
    assert LIST.check(text) is verdict


@given(st.text(st.sampled_from("kil dyous e.i"), max_size=60), st.integers(0, 3000))
def test_looking_only_at_what_is_new_judges_alike(new: str, n_before: int) -> None:
    before = "A word " * (n_before // 7)
    assert LIST.check(before + new, n_new=len(new)) is LIST.check(before + new)


def test_a_complete_text_is_never_held() -> None:
    assert LIST.check("You should die", complete=True) is Verdict.BLOCKED
    assert LIST.check("You should", complete=True) is Verdict.CLEAR


@given(st.sampled_from(DEFAULT_PHRASES), st.text(max_size=20), st.integers(1, 5))
def test_a_listed_phrase_is_never_clear_before_it_is_blocked(phrase: str, before: str, step: int) -> None:
    """However the text arrives, no piece of the phrase beyond its first word is let through."""
    safety = SafetyList()
    text = f"{before} {phrase}. "
    first_word_end = len(before) + 1 + len(phrase.split()[0]) + 1
    verdicts = {end: safety.check(text[:end]) for end in [*range(0, len(text), step), len(text)]}
    assert verdicts[len(text)] is Verdict.BLOCKED
    for end, verdict in verdicts.items():
        if end > first_word_end + 1 and end < len(text):
            assert verdict is not Verdict.CLEAR, text[:end]


@pytest.mark.parametrize("phrases", [("...",), ("x" * 201,), ("a",) * 1001])
def test_lists_that_cannot_be_used_are_refused(phrases: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"safety list"):
        SafetyList(phrases)


PIECES = st.lists(
    st.tuples(st.text(st.sampled_from("ab c."), min_size=1, max_size=8), st.one_of(st.none(), st.integers(0, 5000))),
    max_size=12,
)


@given(PIECES, st.one_of(st.none(), st.integers(0, 6000)), st.integers(0, 6000), st.integers(0, 6000))
def test_what_was_heard_grows_with_time_and_is_a_beginning_of_the_text(
    raw: list[tuple[str, int | None]], total_ms: int | None, one_ms: int, other_ms: int
) -> None:
    pieces = tuple(Piece(text, start) for text, start in raw)
    earlier, later = (heard_text(pieces, ms, total_ms) for ms in sorted((one_ms, other_ms)))
    whole = full_text(pieces)
    assert later.startswith(earlier.rstrip())
    assert whole.startswith(later)
    assert heard_text(pieces, 0, total_ms) == ""
    if total_ms:
        assert heard_text(pieces, total_ms, total_ms) == whole


def test_a_text_that_runs_ahead_of_its_speech_does_not_count_as_heard() -> None:
    pieces = tuple(Piece(word, 0) for word in ("This ", "is ", "a ", "long ", "sentence."))
    assert heard_text(pieces, 100, None) == ""
    assert heard_text(pieces, 500, 2000) in ("This", "This is")


def test_time_aligned_text_is_cut_at_the_word_that_was_being_said() -> None:
    pieces = (Piece("A ", 0), Piece("red ", 300), Piece("cup.", 700))
    assert heard_text(pieces, 310, 1200) == "A"
    assert heard_text(pieces, 500, 1200) == "A"
    assert heard_text(pieces, 710, 1200) == "A red"
