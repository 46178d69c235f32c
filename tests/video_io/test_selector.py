from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.video_io.pictures import desk
from video_io.frames import Frame, Rgb
from video_io.selector import FrameSelector, SelectorSettings, change_between, thumbnail


def shown(selector: FrameSelector, rgb: Rgb, at_s: float, *, speaking: bool = True) -> bool:
    return selector.offer(Frame(rgb, at_s, 0), speaking=speaking)


def as_picture(values: np.ndarray) -> Rgb:
    return np.clip(values, 0, 255).astype(np.uint8)


def with_thing(rgb: Rgb, x: int, y: int) -> Rgb:
    """A hand-sized thing (1/30 of the picture) with its own brightness."""
    held = rgb.copy()
    side = int((rgb.shape[0] * rgb.shape[1] / 30) ** 0.5)
    held[y : y + side, x : x + side] = (245, 30, 40)
    return held


def test_a_still_scene_is_sent_once_whatever_the_noise() -> None:
    rng = np.random.default_rng(1)
    scene, selector = desk(), FrameSelector()
    sent = [shown(selector, as_picture(scene + rng.normal(0, 8, scene.shape)), 0.6 * n) for n in range(6)]
    assert sent == [True, False, False, False, False, False]


@pytest.mark.parametrize("gain", [0.7, 0.85, 1.2])
@pytest.mark.parametrize("offset", [-15.0, 0.0, 15.0])
def test_exposure_is_not_a_change(gain: float, offset: float) -> None:
    scene, selector = desk(), FrameSelector()
    assert shown(selector, scene, 0.0)
    assert not shown(selector, as_picture(scene * gain + offset), 1.0)


def test_white_balance_is_not_a_change() -> None:
    scene, selector = desk(), FrameSelector()
    assert shown(selector, scene, 0.0)
    assert not shown(selector, as_picture(scene * np.array([1.1, 1.0, 0.9])), 1.0)


@given(x=st.integers(0, 1280 - 180), y=st.integers(0, 720 - 180))
@settings(max_examples=25, deadline=None)
def test_a_thing_held_into_the_picture_is_a_change_and_so_is_its_going(x: int, y: int) -> None:
    scene, selector = desk(), FrameSelector()
    assert shown(selector, scene, 0.0)
    assert shown(selector, with_thing(scene, x, y), 1.0)
    assert shown(selector, scene, 2.0)


def test_a_colour_of_the_same_brightness_is_a_change() -> None:
    plain = np.full((240, 320, 3), 120, np.uint8)
    red, green = plain.copy(), plain.copy()
    red[80:160, 100:220] = (200, 86, 90)
    green[80:160, 100:220] = (60, 150, 90)
    selector = FrameSelector()
    assert shown(selector, red, 0.0)
    assert shown(selector, green, 1.0)


@pytest.mark.parametrize("other", [0.0, 255.0])
def test_lights_out_and_glare_are_changes_in_both_directions(other: float) -> None:
    scene, flat = thumbnail(desk()), thumbnail(np.full((720, 1280, 3), other, np.uint8))
    assert change_between(scene, flat)[0] > 20
    assert change_between(flat, scene) == change_between(scene, flat)


def test_at_most_two_a_second_while_everything_changes() -> None:
    selector = FrameSelector()
    scenes = [desk(seed) for seed in range(6)]
    sent_at_s = [n / 15 for n in range(60) if shown(selector, scenes[n % 6], n / 15)]
    assert len(sent_at_s) >= 4  # moving all the time must not mean that nothing is ever sent
    assert min(np.diff(sent_at_s)) >= 0.5 - 1e-9


def test_a_moving_picture_waits_until_it_has_come_to_rest() -> None:
    still, hand_a, hand_b = desk(), with_thing(desk(), 100, 100), with_thing(desk(), 500, 300)
    selector = FrameSelector()
    assert shown(selector, still, 0.0)
    assert not shown(selector, still, 0.6)
    assert not shown(selector, hand_a, 0.67)
    assert not shown(selector, hand_b, 0.73)
    assert shown(selector, hand_b, 0.80)


def test_nothing_is_sent_while_nobody_speaks_unless_asked() -> None:
    selector = FrameSelector()
    assert not shown(selector, desk(0), 0.0, speaking=False)
    selector.ask()
    assert shown(selector, desk(0), 0.1, speaking=False)
    assert not shown(selector, desk(0), 0.2, speaking=False)
    selector.ask()
    assert shown(selector, desk(0), 0.3, speaking=False)  # asked for: sent although nothing changed


def test_idle_pictures_when_they_are_wanted() -> None:
    selector = FrameSelector(SelectorSettings(idle_interval_s=2.0))
    sent = [shown(selector, desk(n), float(n), speaking=False) for n in range(5)]
    assert sent == [True, False, True, False, True]


def test_a_forgotten_scene_is_sent_again() -> None:
    selector = FrameSelector()
    assert shown(selector, desk(), 0.0)
    selector.forget()
    assert shown(selector, desk(), 0.1)


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_not_a_picture_is_named(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[height, width, 3\]"):
        thumbnail(wrong)


def test_tiny_pictures_work() -> None:
    assert thumbnail(np.zeros((1, 1, 3), np.uint8)).shape == (24, 32, 3)
