"""Aiming help, followed as a user would: from wherever the camera points, it leads to a whole, readable thing."""

from __future__ import annotations

import random
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

from video_io.aiming import AGAIN_S, Advice, Aim, Guide, Target, find_sheet, find_target
from video_io.frames import Rgb
from video_io.reading.page import Edge, Page, Passage
from video_io.reading.reader import Reader

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
VIEW = (1280, 720)
WORLD = (5000, 3200)
STEPS = {
    Aim.LEFT: (-0.2, 0.0, 1.0),
    Aim.RIGHT: (0.2, 0.0, 1.0),
    Aim.UP: (0.0, -0.2, 1.0),
    Aim.DOWN: (0.0, 0.2, 1.0),
    Aim.CLOSER: (0.0, 0.0, 0.75),
    Aim.BACK: (0.0, 0.0, 1.3),
}


def desk() -> Image.Image:
    """A wooden desk: grain, so that nothing is flat."""
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(0, 14, (WORLD[1] // 8, WORLD[0] // 8)).astype(np.float32), (0, 0), 2)
    wood = cv2.resize(grain, WORLD)[:, :, None] + np.array([122, 92, 64], np.float32)
    return Image.fromarray(np.clip(wood, 0, 255).astype(np.uint8))


def letter() -> Rgb:
    """A letter on the desk, in the middle of the world."""
    world = desk()
    draw = ImageDraw.Draw(world)
    draw.rectangle((2050, 1150, 2950, 2050), fill=(245, 244, 238))
    font = ImageFont.truetype(FONT, 44)
    lines = [
        "City Library",
        "",
        "Dear reader,",
        "the book you asked for",
        "has come. You can fetch",
        "it until the ninth.",
    ]
    for row, line in enumerate(lines):
        draw.text((2150, 1230 + 90 * row), line, (20, 20, 24), font)
    return np.asarray(world)


def label() -> Rgb:
    world = desk()
    barcode = zxingcpp.create_barcode("https://example.org/menu", zxingcpp.BarcodeFormat.QRCode)
    code = Image.fromarray(np.asarray(barcode.to_image(scale=14)).squeeze()).convert("RGB")
    world.paste((255, 255, 255), (2500 - 260, 1600 - 260, 2500 + 260, 1600 + 260))
    world.paste(code, (2500 - code.width // 2, 1600 - code.height // 2))
    return np.asarray(world)


class Camera:
    """Looks at a part of the world; moves as it is told."""

    def __init__(self, world: Rgb, x: float, y: float, width: float) -> None:
        self.world, self.x, self.y, self.width = world, x, y, width

    def picture(self) -> Rgb:
        scale = self.width / VIEW[0]
        matrix = np.array([[scale, 0, self.x - self.width / 2], [0, scale, self.y - scale * VIEW[1] / 2]])
        flags = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.world, matrix, VIEW, flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]

    def follow(self, advice: Advice) -> None:
        aim = next(aim for aim in Aim if advice.text.endswith(aim.value))
        dx, dy, zoom = STEPS[aim]
        self.x += dx * self.width
        self.y += dy * self.width * VIEW[1] / VIEW[0]
        self.width *= zoom


def steps_to_good(camera: Camera, read: Callable[[Rgb], Page], most: int = 12) -> list[str]:
    """The advice until the camera is right; AssertionError when it never is."""
    guide, told = Guide(), []
    for number in range(most):
        rgb = camera.picture()
        advice = guide.look(rgb, read(rgb), number * (AGAIN_S + 1))
        assert advice is not None, "an advice that was not followed enough comes again"
        told.append(advice.text)
        if advice.good:
            return told
        camera.follow(advice)
    raise AssertionError(told)


def test_a_code_is_found_from_anywhere_it_is_seen_from() -> None:
    world, rng = label(), random.Random(8)
    for _ in range(20):
        width = rng.uniform(900, 4500)
        room = (width / 2 - 180, width * VIEW[1] / VIEW[0] / 2 - 180)
        camera = Camera(world, 2500 + rng.uniform(-1, 1) * room[0], 1600 + rng.uniform(-1, 1) * room[1], width)
        told = steps_to_good(camera, lambda rgb: Page())
        assert told[-1].endswith(Aim.GOOD.value)


@pytest.mark.slow
def test_a_letter_is_found_and_then_it_can_be_read() -> None:
    world, rng, reader = letter(), random.Random(5), Reader()
    for _ in range(6):
        width = rng.uniform(700, 3000)
        camera = Camera(world, 2500 + rng.uniform(-300, 300), 1500 + rng.uniform(-200, 200), width)
        steps_to_good(camera, reader.read)
        text = reader.read(camera.picture()).text.replace("\n", " ")
        assert "City Library" in text
        assert "until the ninth" in text


def test_nothing_is_aimed_at_where_there_is_nothing() -> None:
    rgb = np.asarray(desk())[:720, :1280]
    guide = Guide()
    advice = guide.look(rgb, Page(), 0.0)
    assert advice == Advice("Nothing to aim at yet. Move the camera slowly.")
    assert guide.look(rgb, Page(), 1.0) is None
    assert guide.look(rgb, Page(), AGAIN_S) == advice  # the user is not left alone with silence


def test_the_thing_is_named_once_and_good_is_said_once() -> None:
    world, guide = label(), Guide()
    left, middle = Camera(world, 3200, 1600, 2400).picture(), Camera(world, 2500, 1600, 1200).picture()
    told = [guide.look(rgb, Page(), float(second)) for second, rgb in enumerate((left, left, middle, middle))]
    assert told == [Advice("A QR code. Move the camera left."), None, Advice("Hold still.", good=True), None]
    assert guide.look(middle, Page(), 60.0) is None


def test_text_on_a_sheet_is_aimed_at_by_the_sheet() -> None:
    rgb = Camera(letter(), 2500, 1600, 2400).picture()
    sheet = find_sheet(rgb)
    assert sheet is not None
    assert np.allclose(sheet, (0.31, 0.17, 0.69, 0.83), atol=0.02)
    page = Page((Passage("City Library"),), box=(0.35, 0.22, 0.6, 0.6))
    target = find_target(rgb, page)
    assert target is not None
    assert (target.name, target.aim) == ("A sheet with text.", Aim.GOOD)
    elsewhere = find_target(rgb, Page((Passage("Exit"),), box=(0.8, 0.1, 0.95, 0.2)))
    assert elsewhere is not None
    assert elsewhere.name == "Text."


@pytest.mark.parametrize(
    ("cut", "aim"),
    [((Edge.LEFT,), Aim.LEFT), ((Edge.BOTTOM,), Aim.DOWN), ((Edge.LEFT, Edge.RIGHT), Aim.BACK)],
)
def test_text_that_is_cut_off_is_brought_in(cut: tuple[Edge, ...], aim: Aim) -> None:
    assert Target("Text.", (0.2, 0.3, 0.8, 0.7), readable=True, cut=cut).aim is aim
