from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.sound_server import wait_until
from tests.video_io.pictures import desk, write_video
from video_io.eyes import QUALITY_INTERVAL_S, Eyes
from video_io.frames import Frame, SourceEvent, SourceEventKind


class Rig:
    def __init__(self, choice: str) -> None:
        self.pictures: queue.Queue[bytes] = queue.Queue()
        self.events: queue.Queue[SourceEvent] = queue.Queue()
        self.advice: queue.Queue[str] = queue.Queue()
        self.changes: queue.Queue[bool] = queue.Queue()
        self.eyes = Eyes(
            choice,
            on_picture=self.pictures.put,
            on_event=self.events.put,
            on_advice=self.advice.put,
            on_change=self.changes.put,
        )
        self.eyes.start()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.avi", [desk(height=240, width=320)] * 5)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [t.name for t in threading.enumerate() if t.name == "eyes" or t.name.startswith("pictures:")] == []


def test_speaking_sends_the_present_picture_at_once_and_a_still_scene_only_once(clip: Path) -> None:
    rig = Rig(f"file:{clip}")
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    assert rig.pictures.empty()  # nobody speaks
    rig.eyes.set_speaking(True)
    jpeg = rig.pictures.get(timeout=5)
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)
    with pytest.raises(queue.Empty):
        rig.pictures.get(timeout=1.2)
    rig.eyes.set_speaking(False)
    rig.eyes.set_speaking(True)
    assert rig.pictures.get(timeout=5)  # a new question gets its own picture
    rig.eyes.stop()
    rig.eyes.stop()


def test_off_closes_the_source_and_on_opens_it_again(clip: Path) -> None:
    rig = Rig(f"file:{clip}")
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    assert rig.eyes.look() is not None
    assert rig.eyes.latest_picture() is not None
    rig.eyes.set_on(False)
    deadline = threading.Event()
    for _ in range(200):
        if rig.eyes.latest_picture() is None and rig.eyes.look() is None:
            break
        deadline.wait(0.02)
    assert rig.eyes.look() is None
    rig.eyes.set_on(True)
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    rig.eyes.stop()


def test_choosing_what_is_not_there_is_an_event_and_choosing_again_recovers(clip: Path, tmp_path: Path) -> None:
    rig = Rig("nonsense:")
    for choice in (str(tmp_path / "none.mp4"), "camera:first", "none", f"file:{clip}"):
        rig.eyes.choose(choice)
    while rig.events.get(timeout=10).kind is not SourceEventKind.OPENED:
        pass
    rig.eyes.choose(str(tmp_path / "none.mp4"))
    assert rig.events.get(timeout=10).kind is SourceEventKind.MISSING
    assert rig.eyes.look() is None
    rig.eyes.stop()


def test_a_covered_camera_is_said(tmp_path: Path) -> None:
    rig = Rig(str(write_video(tmp_path / "dark.avi", [np.full((120, 160, 3), 6, np.uint8)] * 5)))
    assert "covered" in rig.advice.get(timeout=10)
    rig.eyes.stop()


@pytest.mark.slow
def test_fewer_pictures_are_made_while_nobody_looks_or_speaks(tmp_path: Path) -> None:
    """On the pictures' own numbers and times, whatever else the machine does."""
    clip = write_video(tmp_path / "clip.avi", [desk(n, height=120, width=160) for n in range(50)], rate_hz=50)
    rig = Rig(f"file:{clip}")
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED

    def spacing_s() -> float:
        """Between two pictures, when the present pace has settled."""
        first = _next_frame(rig, None)
        second = _next_frame(rig, first)
        return second.at_s - first.at_s

    _next_frame(rig, _next_frame(rig, None))
    assert spacing_s() >= 0.4
    rig.eyes.follow(True)
    _next_frame(rig, None)
    _next_frame(rig, _next_frame(rig, None))
    assert min(spacing_s() for _ in range(10)) < 0.2
    rig.eyes.follow(False)
    rig.eyes.latest_picture()
    assert min(spacing_s() for _ in range(5)) < 0.2
    rig.eyes.stop()


def _next_frame(rig: Rig, after: Frame | None) -> Frame:
    source = rig.eyes._source
    assert source is not None
    seen = after if after is not None else source.latest()
    until_s = time.monotonic() + 10
    while (newest := source.latest()) is None or newest is seen:
        assert time.monotonic() < until_s, "no new picture"
        threading.Event().wait(0.002)
    return newest


@pytest.mark.slow
def test_a_watched_scene_tells_its_changes_and_nothing_while_it_stays(tmp_path: Path) -> None:
    """Four seconds of one desk and four of another, over and over."""
    pictures = [desk(1, height=120, width=160)] * 40 + [desk(2, height=120, width=160)] * 40
    rig = Rig(str(write_video(tmp_path / "clip.avi", pictures, rate_hz=10)))
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    assert rig.changes.empty()
    rig.eyes.watch(True)
    assert rig.changes.get(timeout=5) is False  # what is there now
    times_s = []
    for _ in range(3):
        assert rig.changes.get(timeout=15) is False
        times_s.append(time.monotonic())
    assert times_s[2] - times_s[1] > 2.4
    rig.eyes.watch(False)
    with pytest.raises(queue.Empty):
        rig.changes.get(timeout=4.5)
    assert rig.pictures.empty()  # nothing was sent: nobody spoke
    rig.eyes.stop()


def test_a_picture_that_is_handed_over_is_seen_and_a_damaged_one_is_named() -> None:
    import queue

    from commands.devices import SeeingEyes
    from tests.pictures.made import encoded, quarters

    posted: queue.Queue[object] = queue.Queue()
    eyes = SeeingEyes("none")
    eyes.start(posted.put)
    eyes.show(encoded(quarters(), "PNG"), "the picture from the clipboard")
    assert "the picture from the clipboard" in str(posted.get(timeout=20))
    assert eyes.tell("colour", posted.put)
    assert "In the middle" in str(posted.get(timeout=20))
    eyes.show(b"\x89PNG\r\n\x1a\n", "the picture from the clipboard")
    assert "is a damaged PNG picture" in str(posted.get(timeout=20))
    eyes.stop()


def test_what_is_no_camera_is_not_told_to_turn_on_a_light_and_a_source_chosen_again_is_opened_anew(
    tmp_path: Path,
) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((120, 160, 3), 6, np.uint8))
    choice = str(tmp_path / "dark.png")
    rig = Rig(choice)
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    first = rig.eyes.newest()
    rig.eyes.choose(choice)
    assert rig.events.get(timeout=10).kind is SourceEventKind.OPENED
    second = rig.eyes.newest()
    assert second is not None
    assert first is not second
    seen_to_s = second.at_s + 3 * QUALITY_INTERVAL_S
    wait_until(lambda: (frame := rig.eyes.newest()) is not None and frame.at_s > seen_to_s, "more pictures come")
    assert rig.advice.empty()
    rig.eyes.stop()
