"""Reading order, sentences and the rules of what is text: geometry only, no models."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from video_io.reading.order import blocks
from video_io.reading.page import Edge, Line, Page, Passage, Word
from video_io.reading.passages import passages
from video_io.reading.rules import accepted, doubtful, edges_cut


def line(
    text: str, left: float, top: float, *, width: float | None = None, height: float = 20, score: float = 0.99
) -> Line:
    right = left + (width if width is not None else len(text) * height * 0.5)
    corners = ((left, top), (right, top), (right, top + height), (left, top + height))
    return Line(
        tuple(Word(w, score) for w in text.split()), score, left, top, right, top + height, height, 0.0, corners
    )


def read(*lines: Line) -> list[str]:
    return [passage.text for passage in passages(blocks(lines))]


LEFT = ["the first column has long lines", "that go on over the whole width", "and end with a full stop there."]
RIGHT = ["while the second one begins anew", "beside it and has its own words", "until it comes to its end too."]


def columns(shift: float = 0) -> list[Line]:
    made = [line(text, 40, 100 + 30 * n, width=400) for n, text in enumerate(LEFT)]
    return made + [line(text, 520, 100 + shift + 30 * n, width=400) for n, text in enumerate(RIGHT)]


def test_columns_are_read_one_after_the_other_wherever_their_lines_stand() -> None:
    for shift in (0, 7, 15):
        assert read(*columns(shift)[::-1]) == [" ".join(LEFT), " ".join(RIGHT)]


def test_a_heading_over_both_columns_comes_first() -> None:
    heading = line("News of the week", 300, 20, height=44)
    assert read(*columns(), heading)[0] == "News of the week"
    assert read(*columns(), line("News", 40, 20, height=44))[0] == "News"


def test_a_table_is_read_row_by_row() -> None:
    rows = [("Article", "Pieces", "Price"), ("Rye flour", "4", "3.20"), ("Honey", "12", "7.95"), ("Tea", "1", "2.10")]
    made = [line(c, x, 100 + 40 * n) for n, row in enumerate(rows) for x, c in zip((50, 300, 500), row, strict=True)]
    assert read(*made[::-1], line("Price list", 50, 20, height=40)) == ["Price list", *(", ".join(row) for row in rows)]


def test_label_lines_stay_apart_and_flowing_lines_are_joined() -> None:
    label = [line(text, 200 - 5 * len(text), 40 * n) for n, text in enumerate(("Whole milk", "3.5 % fat", "1 litre"))]
    assert read(*label) == ["Whole milk", "3.5 % fat", "1 litre"]
    flow = [
        line("The council voted for the new bridge. It will be built", 0, 0),
        line("next year, says Mr. Hall. Good.", 0, 28),
    ]
    assert read(*flow) == [
        "The council voted for the new bridge.",
        "It will be built next year, says Mr. Hall.",
        "Good.",
    ]


def test_a_word_divided_at_the_end_of_a_line_is_whole_again() -> None:
    assert read(line("They opened the library and the mu-", 0, 0), line("seum beside it.", 0, 28)) == [
        "They opened the library and the museum beside it."
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 900), st.integers(0, 700), st.integers(1, 5), st.integers(12, 50)),
        min_size=1,
        max_size=25,
    )
)
def test_every_word_is_read_exactly_once_whatever_the_layout(places: list[tuple[int, int, int, int]]) -> None:
    lines = [
        line(" ".join(f"w{n}x{m}" for m in range(words)), x, y, height=h) for n, (x, y, words, h) in enumerate(places)
    ]
    made = " ".join(read(*lines)).replace(",", "").split()
    assert sorted(made) == sorted(word.text for one in lines for word in one.words)


def test_a_lone_unsure_or_short_line_is_no_text_but_beside_text_it_is() -> None:
    faint, letter, sure = line("leaves", 0, 0, score=0.8), line("S", 0, 40, score=0.97), line("Opening hours", 0, 80)
    assert accepted([faint]) == []
    assert accepted([letter]) == []
    assert accepted([faint, letter]) == []
    assert accepted([faint, letter, sure]) == [faint, letter, sure]
    assert accepted([line("IIIIII", 0, 0)]) == []  # stripes
    assert accepted([line("wide", 0, 0, width=900)]) == []  # a word as wide as a wall
    assert accepted([line("42", 0, 0)]) != []
    assert accepted([]) == []


def test_doubtful_words_are_named() -> None:
    mixed = Line((Word("Take", 0.99), Word("tw0", 0.6)), 0.9, 0, 0, 100, 20, 20)
    assert doubtful(mixed) == ("tw0",)
    assert passages(blocks([mixed])) == (Passage("Take tw0", ("tw0",)),)


def test_ink_at_the_edge_means_that_text_is_cut_and_a_margin_does_not() -> None:
    rgb = np.full((200, 300, 3), 255, np.uint8)
    rgb[80:100, 0:120] = rgb[80:100, 0:120] * (np.arange(120) % 4 < 2)[None, :, None].astype(np.uint8)
    cut = line("something", 0, 80, width=120)
    assert edges_cut(rgb, [cut]) == (Edge.LEFT,)
    rgb[:, :6] = 255
    assert edges_cut(rgb, [cut]) == ()
    page = Page((Passage("something"),), (Edge.LEFT,))
    assert page.advice == "The text is cut off at the left. Move the camera left."
    both = Page((Passage("something"),), (Edge.LEFT, Edge.RIGHT))
    assert both.advice == "The text is cut off at the left and right. Move further away."
