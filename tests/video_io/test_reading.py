"""Reading with the real models: what is there is read, what is not there is not, and one thread does it."""

from __future__ import annotations

import random
import threading
from queue import Queue

import numpy as np
import pytest

from commands.reading_bench import distance, measure, order_right, plain
from commands.reading_pictures import Made, Sheet, letter, pictures, rotated, table, through_camera
from tests.video_io.pictures import desk
from video_io.looking import Answer, Failed, Looker, in_words
from video_io.reading.page import Edge, Page, Passage
from video_io.reading.reader import Reader
from video_io.reading.recogniser import ReadingUnavailableError


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader()


def made(*lines: str, kind: str = "sans", size: int = 30) -> Made:
    sheet = Sheet(700, 60 + 60 * len(lines))
    for n, text in enumerate(lines):
        sheet.write(40, 30 + 60 * n, text, kind, size)
    return sheet.made("made", "test")


def error(reader: Reader, picture: Made) -> float:
    return distance(plain(reader.read(picture.rgb).text), plain(picture.text)) / len(picture.text)


@pytest.mark.slow
def test_a_letter_a_table_and_a_page_askew_are_read_whole_and_in_order(reader: Reader) -> None:
    chance = random.Random("a test")
    sheet = letter(chance, "reported").made("letter", "letter")
    result = measure(reader, [sheet, rotated(sheet, 10), table(chance, "reported").made("table", "table")])
    assert result["all"]["character_error"] <= 0.02
    assert result["all"]["order"] >= 0.95


def test_a_noisy_camera_picture_is_read(reader: Reader) -> None:
    chance = random.Random("another test")
    assert error(reader, through_camera(made("Best before 14.08.2026", "Keep cool and dry"), chance)) <= 0.05


@pytest.mark.slow
def test_a_page_upside_down_or_on_its_side_is_read(reader: Reader) -> None:
    picture = made("Lost property", "Second floor on the left", "Open from nine to five")
    for quarters in (1, 2, 3):
        turned = Made("turned", "test", np.ascontiguousarray(np.rot90(picture.rgb, quarters)), picture.units)
        assert error(reader, turned) <= 0.05


def test_other_languages_with_latin_letters(reader: Reader) -> None:
    assert (
        error(reader, made("Zimmer frei ab März für 450 €", "Où est la gare ? À gauche.", "Mañana a las ocho")) <= 0.05
    )


def test_nothing_is_read_where_there_is_no_text(reader: Reader) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    for rgb in (
        desk(3, print_on_it=False),
        noise,
        np.zeros((720, 1280, 3), np.uint8),
        np.full((3, 3, 3), 255, np.uint8),
    ):
        page = reader.read(rgb)
        assert page.passages == ()
        assert page.text == ""
        assert page.cut == ()


def test_text_over_the_edge_is_said_to_be_cut_and_where(reader: Reader) -> None:
    whole = made("Harbour Street 17 to 43", "Please keep this exit clear")
    assert reader.read(whole.rgb).cut == ()
    assert reader.read(np.ascontiguousarray(whole.rgb[:, 150:])).cut == (Edge.LEFT,)
    assert reader.read(np.ascontiguousarray(whole.rgb[:, :300])).cut == (Edge.RIGHT,)


def test_order_is_counted_by_what_follows_what() -> None:
    page = Page((Passage("one two"), Passage("three four")))
    assert order_right(page, ("one two", "three four")) == (2, 2)
    assert order_right(page, ("three four", "one two")) == (1, 2)
    assert distance("kitten", "sitting") == 3


def test_made_pictures_are_the_same_each_time_and_tuning_is_kept_apart() -> None:
    first, again = pictures("reported", 1, 7), pictures("reported", 1, 7)
    assert [one.text for one in first] == [one.text for one in again]
    assert all(np.array_equal(one.rgb, other.rgb) for one, other in zip(first, again, strict=True))
    tuned = {unit for one in pictures("tuned", 1, 7) for unit in one.units if len(unit) > 12}
    assert not tuned & {unit for one in first for unit in one.units}


# --- the looker -----------------------------------------------------------------------------------------------------

DOT = np.zeros((8, 8, 3), np.uint8)


class FixedReader(Reader):
    """No models: says which thread read."""

    def __init__(self) -> None:
        self.thread = threading.current_thread().name

    def read(self, rgb: np.ndarray) -> Page:  # type: ignore[override]
        return Page((Passage(self.thread),))


def test_one_thread_loads_and_reads_and_only_when_asked() -> None:
    answers: Queue[Answer] = Queue()
    looker = Looker(FixedReader)
    assert looker._thread is None
    looker.text(DOT, answers.put)
    assert answers.get(timeout=10) == Page((Passage("looking"),))
    looker.stop()
    looker.stop()
    looker.text(DOT, answers.put)  # after the end nothing happens
    assert answers.empty()


def test_what_cannot_be_read_is_an_answer_and_the_next_question_is_heard() -> None:
    answers: Queue[Answer] = Queue()

    def broken() -> Reader:
        raise ReadingUnavailableError("no models")

    looker = Looker(broken)
    looker.text(DOT, answers.put)
    assert answers.get(timeout=10) == Failed("no models")

    def fails(rgb: object) -> str:
        raise ZeroDivisionError("by chance")

    looker.ask("colour", DOT, fails, answers.put)
    assert in_words(answers.get(timeout=10)) == "This picture could not be looked at: by chance"
    looker.ask("colour", DOT, lambda rgb: "green", answers.put)
    assert answers.get(timeout=10) == "green"
    looker.stop()


def test_a_question_that_waits_is_replaced_by_a_newer_one_about_the_same() -> None:
    answers: Queue[Answer] = Queue()
    begun, go_on = threading.Event(), threading.Event()

    def slow(rgb: object) -> str:
        begun.set()
        go_on.wait(10)
        return "slow"

    looker = Looker()
    looker.ask("light", DOT, slow, answers.put)
    assert begun.wait(10)
    for number in range(5):
        looker.ask("colour", DOT, lambda rgb, number=number: str(number), answers.put)  # type: ignore[misc]
    go_on.set()
    assert [answers.get(timeout=10), answers.get(timeout=10)] == ["slow", "4"]
    assert answers.empty()
    looker.stop()
