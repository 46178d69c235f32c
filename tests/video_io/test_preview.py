from __future__ import annotations

import numpy as np
import pytest

from tests.video_io.pictures import desk
from video_io.frames import Frame
from video_io.preview import PREVIEW_PIXELS, PreviewSlot


@pytest.mark.parametrize(
    ("width", "height"), [(320, 240), (641, 361), (1280, 720), (1920, 1080), (3840, 2160), (4000, 1), (3, 3000)]
)
def test_the_preview_is_small_has_the_pictures_shape_and_its_colours(width: int, height: int) -> None:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:] = (200, 100, 50)
    slot = PreviewSlot()
    slot.put(Frame(rgb, 0.0, 7))
    small = slot.latest()
    assert small is not None
    assert small.number == 7
    assert small.width * small.height <= PREVIEW_PIXELS
    assert len(small.rgb) == 3 * small.width * small.height
    assert tuple(small.rgb[:3]) == (200, 100, 50)
    if min(width, height) >= 100:
        assert small.width / small.height == pytest.approx(width / height, rel=0.01)
        assert small.width * small.height >= min(width * height, 0.5 * PREVIEW_PIXELS)


def test_what_is_left_stays_left() -> None:
    rgb = desk()
    rgb[:, :640] = 0
    slot = PreviewSlot()
    slot.put(Frame(rgb, 0.0, 0))
    small = slot.latest()
    assert small is not None
    seen = np.frombuffer(small.rgb, np.uint8).reshape(small.height, small.width, 3)
    assert seen[:, : small.width // 2 - 1].max() == 0
    assert seen[:, small.width // 2 + 1 :].mean() > 40
