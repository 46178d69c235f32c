"""Which pictures the model gets to see: those in which something changed, and those that were asked for.

A picture is reduced to a small thumbnail. Averaging takes sensor noise out;
fitting gain and offset between two thumbnails takes exposure and white balance out. What is left is change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_io.frames import Frame, Rgb
from video_io.opencv import shrink

THUMB_WIDTH, THUMB_HEIGHT, BLOCK = 32, 24, 4  # thumbnails of 8 x 6 blocks
Thumb = NDArray[np.float32]  # [THUMB_HEIGHT, THUMB_WIDTH, 3], 0..255
RECENT_S = 0.2  # two pictures further apart say nothing about whether the camera moves
WHITE = 247.0  # an averaged value above this was cut off by the sensor


@dataclass(frozen=True)
class SelectorSettings:
    """Thresholds are in steps of 8-bit brightness. They were set on noise (sigma 8 of 255), a gain of 0.7–1.2 and an
    offset of ±25 that must not trigger, and on a hand-sized object (1/30 of the picture) that must."""

    speaking_interval_s: float = 0.5  # at most 2 pictures a second while the user speaks
    idle_interval_s: float | None = None  # None: nothing is sent on its own while nobody speaks
    whole_change: float = 7.0  # root mean square over the picture
    block_change: float = 12.0  # mean of the most changed block
    settle_s: float = 0.35  # a moving picture is blurred: wait this long for it to come to rest


class FrameSelector:
    """Decides picture by picture. Pure apart from its memory of the last two; belongs to one thread."""

    def __init__(self, settings: SelectorSettings | None = None) -> None:
        self.settings = settings or SelectorSettings()
        self._sent: Thumb | None = None
        self._sent_at_s = float("-inf")
        self._previous: Thumb | None = None
        self._previous_at_s = float("-inf")
        self._moving_since_s: float | None = None
        self._asked = False
        self.moved = False
        """The picture that was sent last was taken while the scene moved."""

    def ask(self) -> None:
        """The next picture is sent whatever it shows: at the start of a question, or when a look is asked for."""
        self._asked = True

    def forget(self) -> None:
        """The model has forgotten what it saw (new conversation, restarted engine, other source)."""
        self._sent = self._previous = self._moving_since_s = None
        self._sent_at_s = float("-inf")

    def offer(self, frame: Frame, *, speaking: bool) -> bool:
        """True when this picture should be sent. `frame.at_s` must not go back."""
        interval_s = self.settings.speaking_interval_s if speaking else self.settings.idle_interval_s
        left_s = 0.0 if self._asked else float("inf")  # until a picture may be sent
        if interval_s is not None:
            left_s = min(left_s, self._sent_at_s + interval_s - frame.at_s)
        if left_s > RECENT_S:
            return False
        thumb = thumbnail(frame.rgb)
        wanted = self._asked
        if not wanted and left_s <= 0 and (self._sent is None or self._differs(thumb, self._sent)):
            wanted = self._settled(thumb, frame.at_s)
        self._previous, self._previous_at_s = thumb, frame.at_s
        if wanted:
            self.moved = self._moving_since_s is not None
            self._sent, self._sent_at_s, self._moving_since_s, self._asked = thumb, frame.at_s, None, False
        return wanted

    def _settled(self, thumb: Thumb, at_s: float) -> bool:
        """Whether the picture is at rest, has moved for too long to wait, or comes too rarely to tell."""
        recent = at_s - self._previous_at_s <= RECENT_S
        if self._previous is None or not recent or not self._differs(thumb, self._previous):
            self._moving_since_s = None
            return True
        if self._moving_since_s is None:
            self._moving_since_s = at_s
        return at_s - self._moving_since_s >= self.settings.settle_s

    def _differs(self, one: Thumb, other: Thumb) -> bool:
        whole, block = change_between(one, other)
        return whole > self.settings.whole_change or block > self.settings.block_change


def thumbnail(rgb: Rgb) -> Thumb:
    """[H, W, 3] uint8 -> [24, 32, 3]; about 2 ms for a 1280 x 720 picture."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise ValueError(f"a picture must be uint8 [height, width, 3]; this one is {rgb.dtype} {list(rgb.shape)}")
    return shrink(rgb, THUMB_WIDTH, THUMB_HEIGHT).astype(np.float32)


def change_between(one: Thumb, other: Thumb) -> tuple[float, float]:
    """How much two thumbnails differ beyond exposure and white balance: (whole picture, most changed block).

    Symmetric: both directions are fitted, because everything fits a flat picture with a gain of nearly nothing.
    """
    residual = np.maximum(_misfit(one, other), _misfit(other, one)).max(2)  # [24, 32]
    blocks = residual.reshape(THUMB_HEIGHT // BLOCK, BLOCK, THUMB_WIDTH // BLOCK, BLOCK).mean((1, 3))
    return float(np.sqrt((residual**2).mean())), float(blocks.max())


def _misfit(source: Thumb, target: Thumb) -> Thumb:
    """|target - (gain * source + offset)| per colour, with the best gain in 1/2..2: what a camera does by itself.

    The fit is repeated without the quarter that fits worst, so that a new object does not bend it. Where the source
    is at full white its real brightness is unknown: that says nothing (the other direction covers it).
    """
    known = source < WHITE
    fit = known & (target < WHITE)
    kept = fit
    for _ in range(3):
        n_kept = kept.sum((0, 1)).clip(1)
        source_mean, target_mean = (source * kept).sum((0, 1)) / n_kept, (target * kept).sum((0, 1)) / n_kept
        centred = (source - source_mean) * kept
        power = (centred**2).sum((0, 1)).clip(1e-3)
        gain = ((centred * (target - target_mean)).sum((0, 1)) / power).clip(0.5, 2.0)
        misfit = np.abs(target - (gain * (source - source_mean) + target_mean).clip(0, 255)) * known
        kept = fit & (misfit <= np.quantile(misfit, 0.75, (0, 1)))
    result: Thumb = misfit.astype(np.float32)
    return result
