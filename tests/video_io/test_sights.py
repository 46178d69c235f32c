"""Codes, colour and light of pictures whose right answer is known, and text that comes into view."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import zxingcpp

from tests.video_io.test_reading import FixedReader
from video_io.codes import NOTHING, describe, find_codes, tell_codes
from video_io.colour import name_of, tell_colour
from video_io.frames import Frame, Rgb
from video_io.light import describe as describe_light
from video_io.light import measure_light, tell_light, tone_hz
from video_io.looking import Looker
from video_io.reading.page import Page, Passage
from video_io.sights import SeenText, Sights


def flat(*rgb: int, height: int = 240, width: int = 320) -> Rgb:
    return np.full((height, width, 3), rgb, np.uint8)


def code(kind: str, text: str, *, x: int = 300, y: int = 200) -> Rgb:
    """A code on a grey desk."""
    barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    small = np.asarray(barcode.to_image(scale=4))
    rgb = flat(200, 190, 180, height=720, width=1280)
    height, width = small.shape[:2]
    rgb[y - 20 : y + height + 20, x - 20 : x + width + 20] = 255
    rgb[y : y + height, x : x + width] = small.reshape(height, width, -1)[:, :, :1]
    return rgb


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("QRCode", "https://example.org/menu?t=4", "a web address at example.org"),
        (
            "QRCode",
            "WIFI:T:WPA;S:Garden\\;house;P:plum:tree;;",
            "the wireless network Garden;house, password plum:tree",
        ),
        ("QRCode", "tel:+3212345", "a telephone number: +3212345"),
        ("QRCode", "Room 12", "QR code: Room 12."),
        ("EAN13", "4006381333931", "EAN-13 bar code: 4006381333931."),
        ("Code128", "LOT-7B3392", "Code 128 bar code: LOT-7B3392."),
    ],
)
def test_codes_are_read_and_what_they_mean_is_told(kind: str, text: str, told: str) -> None:
    for rgb in (code(kind, text), np.ascontiguousarray(np.rot90(code(kind, text)))):
        assert told in tell_codes(rgb)
        assert find_codes(rgb)[0].text == text


def test_several_codes_none_and_a_hostile_one() -> None:
    rgb = code("QRCode", "left")
    rgb[:, 640:] = code("QRCode", "right", x=900)[:, 640:]
    assert tell_codes(rgb) == "2 codes. QR code: left. QR code: right."
    assert tell_codes(flat(90, 90, 90)) == NOTHING
    assert "\x1b" not in describe(find_codes(code("QRCode", "a\x1b[31mb\n")))
    assert "more letters" in tell_codes(code("QRCode", "x" * 900, x=200, y=60))


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 12), "black"),
        ((250, 250, 248), "white"),
        ((128, 128, 128), "grey"),
        ((200, 20, 25), "red"),
        ((90, 10, 15), "dark red"),
        ((245, 140, 20), "orange"),
        ((250, 225, 40), "yellow"),
        ((40, 160, 50), "green"),
        ((15, 70, 25), "dark green"),
        ((160, 225, 160), "light green"),
        ((30, 70, 200), "blue"),
        ((15, 25, 90), "dark blue"),
        ((150, 190, 240), "light blue"),
        ((40, 200, 190), "turquoise"),
        ((130, 50, 170), "purple"),
        ((240, 120, 180), "pink"),
        ((115, 70, 35), "brown"),
        ((225, 210, 180), "beige"),
    ],
)
def test_plain_names_of_colours(rgb: tuple[int, int, int], name: str) -> None:
    assert name_of(*rgb) == name
    assert tell_colour(flat(*rgb)) in (f"In the middle: {name}.", "It is too dark to tell the colour.")


def test_every_colour_has_a_name_and_only_the_middle_counts() -> None:
    assert all(name_of(r, g, b) for r in range(0, 256, 17) for g in range(0, 256, 17) for b in range(0, 256, 17))
    rgb = flat(200, 20, 25)
    rgb[90:150, 130:190] = (30, 70, 200)
    assert tell_colour(rgb) == "In the middle: blue."
    rgb[108:124, 130:190] = 255
    assert tell_colour(rgb) == "In the middle: blue, with some white."
    assert tell_colour(flat(5, 5, 5)) == "It is too dark to tell the colour."
    assert tell_colour(np.zeros((1, 1, 3), np.uint8)) == "It is too dark to tell the colour."


def test_how_bright_and_where_from() -> None:
    assert tell_light(flat(4, 4, 4)) == "It is dark, and the light is even."
    assert tell_light(flat(225, 225, 225)) == "It is very bright, and the light is even."
    ramp = flat(1, 1, 1).astype(np.float64) * np.linspace(200, 40, 320)[None, :, None]
    left = ramp.astype(np.uint8)
    assert tell_light(left).endswith("The light comes from the left.")
    assert tell_light(np.ascontiguousarray(left[:, ::-1])).endswith("The light comes from the right.")
    assert tell_light(np.ascontiguousarray(np.rot90(left, -1))).endswith("The light comes from above.")
    window = flat(60, 60, 60)
    window[20:70, 250:300] = 255
    assert tell_light(window).endswith("A lamp or a window is at the top on the right.")
    assert describe_light(measure_light(window)) == tell_light(window)


def test_brighter_sounds_higher() -> None:
    tones = [tone_hz(level) for level in (0.0, 0.25, 0.5, 1.0, 7.0)]
    assert tones == sorted(tones)
    assert tones[0] == pytest.approx(220)
    assert tones[-1] == pytest.approx(1760)


# --- what comes into view -------------------------------------------------------------------------------------------


def test_each_text_is_told_once() -> None:
    seen = SeenText()
    first = Page((Passage("Platform 6"), Passage("Trains to the airport")))
    assert seen.new(first) == first.passages
    assert seen.new(Page((Passage("Platform 6."), Passage("Trains to the airp0rt"), Passage("Exit")))) == (
        Passage("Exit"),
    )
    assert seen.new(first) == ()
    seen.forget()
    assert seen.new(first) == first.passages


def test_sights_look_at_the_newest_picture_and_say_when_there_is_none() -> None:
    answers: list[object] = []
    frames: list[Frame] = []
    sights = Sights(lambda: frames[-1] if frames else None, Looker(FixedReader))
    assert not sights.read(answers.append)
    assert not sights.tell("colour", answers.append)
    frames.append(Frame(flat(200, 20, 25), 0.0, 0))
    told = threading.Event()
    assert sights.tell("colour", lambda answer: (answers.append(answer), told.set()))
    assert told.wait(10)
    assert answers == ["In the middle: red."]
    pages: list[Page] = []
    came = threading.Event()
    sights.watch_text(lambda page: (pages.append(page), came.set()))  # type: ignore[arg-type, func-returns-value]
    sights.offer(frames[-1])
    assert came.wait(10)
    assert pages[0].text == "looking"
    sights.watch_text(None)
    sights.offer(Frame(flat(20, 200, 25), 9.0, 1))
    sights.stop()
    assert len(pages) == 1
