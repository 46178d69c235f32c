from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.video_io.pictures import desk
from video_io.aiming import Aim, aim_at
from video_io.frames import Frame, Rgb
from video_io.quality import PictureFault, QualityWatch, measure
from video_io.sizing import fit_pixels, to_jpeg


def blurred(rgb: Rgb, sigma: float) -> Rgb:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)


def noisy(rgb: Rgb, sigma: float = 6) -> Rgb:
    return np.clip(rgb + np.random.default_rng(0).normal(0, sigma, rgb.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("print_on_it", [True, False])
def test_good_pictures_are_not_complained_about(seed: int, print_on_it: bool) -> None:
    assert measure(noisy(desk(seed, print_on_it=print_on_it))).fault is None
    assert measure(desk(seed, height=480, width=640, print_on_it=print_on_it)).fault is None


@pytest.mark.parametrize("seed", range(4))
def test_faults_are_found(seed: int) -> None:
    scene = desk(seed)
    assert measure(noisy(blurred(scene, 14))).fault is PictureFault.BLURRED
    assert measure(noisy((scene * 0.12).astype(np.uint8), 3)).fault is PictureFault.DARK
    assert measure(noisy(np.full_like(scene, 12), 3)).fault is PictureFault.COVERED
    glare = scene.copy()
    glare[:, :800] = 255
    assert measure(glare).fault is PictureFault.GLARE


def test_a_plain_light_wall_is_no_fault() -> None:
    assert measure(noisy(np.full((720, 1280, 3), 180, np.uint8))).fault is None


def test_a_warning_is_said_once_and_only_when_it_lasts() -> None:
    watch, good, dark = QualityWatch(hold_s=1.0), desk(), (desk() * 0.1).astype(np.uint8)
    said = [
        (at_s, fault)
        for at_s, rgb in [(0, good), (1, dark), (1.5, good), (2, dark), (2.5, dark), (3, dark), (4, dark), (5, good)]
        if (fault := watch.offer(Frame(rgb, at_s, 0)))
    ]
    assert said == [(3, PictureFault.DARK)]
    assert watch.offer(Frame(good, 6, 0)) is None
    assert watch.offer(Frame(dark, 7, 0)) is None
    assert watch.offer(Frame(dark, 8, 0)) is PictureFault.DARK  # it was good in between: said again


@pytest.mark.parametrize(
    ("box", "aim"),
    [
        ((0.3, 0.3, 0.7, 0.7), Aim.GOOD),
        ((0.0, 0.3, 0.4, 0.7), Aim.LEFT),
        ((0.6, 0.3, 1.0, 0.7), Aim.RIGHT),
        ((0.3, 0.0, 0.7, 0.4), Aim.UP),
        ((0.3, 0.6, 0.7, 1.0), Aim.DOWN),
        ((0.0, 0.2, 1.0, 0.8), Aim.BACK),
        ((0.45, 0.45, 0.55, 0.55), Aim.CLOSER),
    ],
)
def test_aiming(box: tuple[float, float, float, float], aim: Aim) -> None:
    assert aim_at(*box) is aim


def test_an_impossible_box_is_named() -> None:
    with pytest.raises(ValueError, match="left < right"):
        aim_at(0.5, 0.1, 0.4, 0.2)


@pytest.mark.parametrize("size", [(720, 1280), (2160, 3840), (1, 5000), (4000, 3)])
def test_pictures_fit_and_keep_their_shape(size: tuple[int, int]) -> None:
    height, width = size
    fitted = fit_pixels(np.zeros((height, width, 3), np.uint8), 4096)
    assert fitted.shape[0] * fitted.shape[1] <= 4096
    if min(size) > 100:
        assert fitted.shape[1] / fitted.shape[0] == pytest.approx(width / height, rel=0.03)


def test_small_pictures_stay_as_they_are() -> None:
    small = desk(height=120, width=160)
    assert fit_pixels(small) is small


def test_jpeg_holds_the_same_picture_in_the_right_colours() -> None:
    scene = desk()
    back = cv2.cvtColor(cv2.imdecode(np.frombuffer(to_jpeg(scene), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(back.astype(int) - fit_pixels(scene).astype(int)).mean() < 6
