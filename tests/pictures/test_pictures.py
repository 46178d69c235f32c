"""Pictures from anywhere: each case made by script, right or refused with its true cause, by file, folder and wire."""

from __future__ import annotations

import contextlib
import io
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.realtime.client_events import WireError
from model.realtime.pictures import decode_picture
from pictures.decode import PictureError, decode
from pictures.kinds import kind_of
from tests.pictures.made import (
    CORNERS,
    corners_of,
    encoded,
    near,
    quarters,
    see_through,
    tiled_heic,
    turned_jpeg,
    video,
)
from video_io.files import Clip, PictureGrabber, VideoFileGrabber, is_still
from video_io.frames import Rgb, SourceError
from video_io.sources import try_source

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the videos are made by ffmpeg")

GOOD = {
    "photo.jpg": encoded(quarters(), "JPEG", quality=95),
    "photo.png": encoded(quarters(), "PNG"),
    "photo.webp": encoded(quarters(), "WEBP", quality=95),
    "photo.bmp": encoded(quarters(), "BMP"),
    "photo.tif": encoded(quarters(), "TIFF"),
    "still.gif": encoded(quarters(), "GIF"),
    "photo.avif": encoded(quarters(), "AVIF", quality=95),
    "tiles.heic": tiled_heic(),
    "palette.png": encoded(quarters().quantize(8), "PNG"),
    "print.jpg": encoded(quarters().convert("CMYK"), "JPEG", quality=95),
    "opaque.png": encoded(quarters().convert("RGBA"), "PNG"),
    "wrong-name.jpg": encoded(quarters(), "PNG"),
    "no-name": encoded(quarters(), "JPEG", quality=95),
    "turned.jpg": turned_jpeg(1),
}
NOISY = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)), "JPEG")
BAD = {
    "empty.jpg": (b"", "is empty"),
    "half.jpg": (NOISY[: len(NOISY) // 2], "is a damaged JPEG picture: only part of it is there"),
    "header.jpg": (NOISY[:300], "is a damaged JPEG picture"),
    "half.png": (GOOD["photo.png"][: len(GOOD["photo.png"]) * 2 // 3], "is a damaged PNG picture"),
    "half.heic": (GOOD["tiles.heic"][:-200], "is a damaged HEIC picture"),
    "letter.pdf": (b"%PDF-1.7\n", "is a PDF document"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is an SVG drawing"),
    "page.jpg": (b"<!DOCTYPE html><html>", "is a web page"),
    "new.jxl": (b"\xff\x0a\x00", "is a JPEG XL picture"),
    "notes.png": (b"just words, no picture", "is a text file"),
    "noise.png": (bytes(range(200, 256)) * 20, "is not a picture"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_is_right_by_file_folder_clip_and_wire(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(GOOD[name])
    try_source(f"file:{path}")
    for seen in (_file(path), _file(tmp_path), Clip(path).frame_at(0).rgb, decode_picture(GOOD[name], "image")):
        assert near(corners_of(seen), CORNERS)
        assert abs(seen.shape[1] / seen.shape[0] - (1 if name == "tiles.heic" else 4 / 3)) < 0.01


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_shown_is_refused_by_its_cause(name: str, tmp_path: Path) -> None:
    data, cause = BAD[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceError) as told:
        try_source(f"file:{path}")
    assert cause in told.value.message
    assert name in told.value.message
    assert told.value.remedy
    with pytest.raises(SourceError):
        Clip(path)
    with pytest.raises(WireError, match=cause):
        decode_picture(data, "image")


def test_a_damaged_picture_of_a_folder_is_named_once_and_passed_over(tmp_path: Path) -> None:
    for name in ("1.jpg", "3.jpg"):
        (tmp_path / name).write_bytes(GOOD["photo.jpg"])
    (tmp_path / "2.jpg").write_bytes(BAD["half.jpg"][0])
    (tmp_path / "notes.txt").write_text("no picture")
    folder = PictureGrabber(tmp_path)
    folder.open()
    assert folder.grab() is not None
    with pytest.raises(SourceError, match=r"2\.jpg is a damaged JPEG"):
        folder.grab()
    folder.close()
    folder.open()  # as the source does after it has told
    shown = [folder.grab(), folder.grab()]
    assert all(rgb is not None for rgb in shown)
    assert np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(orientation: int) -> None:
    places = {1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 3: (3, 2, 1, 0), 4: (2, 3, 0, 1)}
    places |= {5: (0, 2, 1, 3), 6: (2, 0, 3, 1), 7: (3, 1, 2, 0), 8: (1, 3, 0, 2)}
    rgb = decode(turned_jpeg(orientation))
    assert near(corners_of(rgb), [CORNERS[place] for place in places[orientation]])
    assert (rgb.shape[0] > rgb.shape[1]) == (orientation >= 5)


def test_see_through_pictures_lie_on_a_paper_that_shows_them() -> None:
    dark, light = decode(see_through(10)), decode(see_through(250))
    assert dark[0, 0].tolist() == [255] * 3
    assert dark[40, 20].tolist() == [10] * 3
    assert light[0, 0].tolist() == [0] * 3
    assert light[40, 20].tolist() == [250] * 3
    palette = Image.new("P", (20, 10), 0)
    palette.putpalette([0, 0, 0, 200, 30, 30])
    assert decode(encoded(palette, "PNG", transparency=0))[0, 0].tolist() == [255] * 3


def test_grey_of_sixteen_bits_keeps_its_steps() -> None:
    steps = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    rgb = decode(encoded(Image.fromarray(steps), "PNG"))
    assert rgb.shape == (8, 256, 3)
    assert np.array_equal(rgb[0, :, 0], np.arange(256))


def test_too_many_pixels_are_refused_before_they_are_unpacked() -> None:
    huge = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    with pytest.raises(PictureError, match="pixels"):
        decode(huge)
    with pytest.raises(WireError, match="pixels"):
        decode_picture(encoded(Image.new("1", (5000, 5000)), "PNG"), "image")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([name for name in GOOD if name != "print.jpg"]), st.data())
def test_damage_anywhere_is_a_picture_or_a_refusal_never_a_crash(name: str, data: st.DataObject) -> None:
    damaged = bytearray(GOOD[name])
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PictureError):
        rgb = decode(bytes(damaged))
        assert rgb.dtype == np.uint8
        assert rgb.ndim == 3 == rgb.shape[2]


@given(st.binary(max_size=300))
def test_any_first_bytes_have_a_kind_or_none(head: bytes) -> None:
    assert isinstance(kind_of(head), str)


# --- videos ---------------------------------------------------------------------------------------------------------


def test_an_animated_gif_is_a_video_and_a_still_one_a_picture(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), (value,) * 3) for value in (40, 120, 200)]
    data = io.BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=200)
    path = tmp_path / "moving.gif"
    path.write_bytes(data.getvalue())
    assert not is_still(path)
    clip = Clip(path)
    assert [round(int(clip.frame_at(at_s).rgb[24, 32, 0]), -1) for at_s in (0.0, 0.25, 0.45)] == [40, 120, 200]
    clip.close()


@needs_ffmpeg
def test_each_picture_of_a_video_comes_at_its_own_time(tmp_path: Path) -> None:
    times_ms = (0, 40, 1000, 1040, 3000)
    clip = Clip(video(tmp_path / "varying.mkv", times_ms=times_ms))
    for at_s, number in ((0.0, 0), (0.05, 1), (0.99, 1), (1.01, 2), (2.9, 3), (3.01, 4), (9.0, 4)):
        assert _number(clip.frame_at(at_s).rgb) == number
    clip.close()
    played = VideoFileGrabber(tmp_path / "varying.mkv", repeat=False)
    played.open()
    waits = []
    while (rgb := played.grab()) is not None:
        waits.append((_number(rgb), round(played.interval_s, 3)))
    assert waits[:4] == [(0, 0.04), (1, 0.96), (2, 0.04), (3, 1.96)]
    played.close()


@needs_ffmpeg
@pytest.mark.parametrize(
    ("pixel", "shape"), [(Fraction(2), (96, 256)), (Fraction(1, 2), (192, 128)), (Fraction(1), (96, 128))]
)
def test_pixels_that_are_not_square_are_made_square(pixel: Fraction, shape: tuple[int, int], tmp_path: Path) -> None:
    clip = Clip(video(tmp_path / "wide.mp4", pixel=pixel))
    assert clip.frame_at(0).rgb.shape[:2] == shape
    clip.close()


@needs_ffmpeg
def test_av1_is_shown_or_named_and_a_damaged_video_is_named_so(tmp_path: Path) -> None:
    path, told = video(tmp_path / "new.mp4", coding="libaom-av1"), ""
    try:
        clip = Clip(path)
        assert _number(clip.frame_at(0).rgb) == 0  # this OpenCV can
        clip.close()
    except SourceError as error:
        told = f"{error.message} {error.remedy}"
    assert not told or ("is a video in AV1" in told and "ffmpeg" in told)
    good = video(tmp_path / "good.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(good[: len(good) // 3])
    with pytest.raises(SourceError, match="damaged MP4 video"):
        try_source(f"file:{tmp_path / 'half.mp4'}")
    named_wrong = tmp_path / "clip.png"
    named_wrong.write_bytes(good)
    assert _number(Clip(named_wrong).frame_at(0).rgb) == 0
    with pytest.raises(WireError, match="is a video"):
        decode_picture(good, "image")


def _number(rgb: Rgb) -> int:
    return round((float(rgb.mean()) - 40) / 20)


def _file(path: Path) -> Rgb:
    grabber = PictureGrabber(path)
    grabber.open()
    rgb = grabber.grab()
    grabber.close()
    assert rgb is not None
    return rgb
