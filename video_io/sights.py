"""What can be told of the newest picture without the model: text, codes, colour, light; text also as it comes,
and which way to aim."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Literal

from video_io.aiming import Advice, Guide
from video_io.codes import tell_codes
from video_io.colour import tell_colour
from video_io.frames import Frame, Rgb
from video_io.light import measure_light, tell_light, tone_hz
from video_io.looking import Answer, Looker
from video_io.reading.page import Page, Passage
from video_io.selector import FrameSelector, SelectorSettings

SightName = Literal["codes", "colour", "light"]
TELL: dict[SightName, Callable[[Rgb], str]] = {"codes": tell_codes, "colour": tell_colour, "light": tell_light}
INSTANT_INTERVAL_S = 1.2
"""Between two looks for text that comes into view, while the picture changes."""
SAME_TEXT = 0.8
"""Texts that agree to this share are the same, read a little differently."""
LIGHT_INTERVAL_S = 0.4
"""Between two tones of the light."""
AIM_INTERVAL_S = 1.0
"""Shortest time between two looks while aiming help is on."""
REMEMBERED = 60


class SeenText:
    """What instant text has read already: each text once, until so many others have come."""

    def __init__(self) -> None:
        self._seen: list[str] = []

    def new(self, page: Page) -> tuple[Passage, ...]:
        """The passages that were not seen before; they are remembered."""
        fresh = []
        for passage in page.passages:
            plain = " ".join(passage.text.lower().split())
            if any(SequenceMatcher(None, plain, old, autojunk=False).ratio() >= SAME_TEXT for old in self._seen):
                continue
            fresh.append(passage)
            self._seen = [*self._seen, plain][-REMEMBERED:]
        return tuple(fresh)

    def forget(self) -> None:
        self._seen.clear()


class Sights:
    """Looks at the newest picture (`newest`) on a `Looker`'s thread, where the answers come from too.

    `offer` is given every picture by the source's thread; all else may be called from any thread and returns at once.
    """

    def __init__(self, newest: Callable[[], Frame | None], looker: Looker | None = None) -> None:
        self._newest = newest
        self._looker = looker or Looker()
        self._instant: Callable[[Page], None] | None = None
        self._scene = FrameSelector(SelectorSettings(idle_interval_s=INSTANT_INTERVAL_S))
        self._seen = SeenText()
        self._aim: Callable[[Advice], None] | None = None
        self._guide = Guide()
        self._aimed_s = float("-inf")
        self._light: Callable[[float], None] | None = None
        self._lit_s = float("-inf")

    def read(self, answered: Callable[[Answer], None], *, what: str = "text") -> bool:
        """The text of the newest picture; False when there is no picture. `what`: see `Looker.text`."""
        frame = self._newest()
        if frame is not None:
            self._looker.text(frame.rgb, answered, what=what)
        return frame is not None

    def tell(self, what: SightName, answered: Callable[[Answer], None]) -> bool:
        """Codes, colour or light of the newest picture, in words; False when there is no picture."""
        frame = self._newest()
        if frame is not None:
            self._looker.ask(what, frame.rgb, TELL[what], answered)
        return frame is not None

    def watch_text(self, told: Callable[[Page], None] | None) -> None:
        """From now on `told` gets what comes into view, each text once; None: no longer."""
        self._seen.forget()
        self._scene.ask()
        self._instant = told

    def watch_aim(self, told: Callable[[Advice], None] | None) -> None:
        """From now on `told` gets which way to move the camera; None: no longer."""
        self._guide = Guide()
        self._aim = told

    def watch_light(self, told: Callable[[float], None] | None) -> None:
        """From now on `told` gets the pitch (Hz) that stands for how bright it is; None: no longer."""
        self._light = told

    def offer(self, frame: Frame) -> None:
        light = self._light
        if light is not None and frame.at_s - self._lit_s >= LIGHT_INTERVAL_S:
            self._lit_s = frame.at_s
            light(tone_hz(measure_light(frame.rgb).level))
        aim = self._aim
        if aim is not None and frame.at_s - self._aimed_s >= AIM_INTERVAL_S:
            self._aimed_s = frame.at_s
            self._looker.text(frame.rgb, lambda answer: self._aimed(answer, frame, aim), what="aim")
        told = self._instant
        if told is not None and self._scene.offer(frame, speaking=False):
            self._looker.text(frame.rgb, lambda answer: self._came(answer, told), what="instant text")

    def stop(self) -> None:
        self._instant = self._aim = self._light = None
        self._looker.stop()

    def _came(self, answer: Answer, told: Callable[[Page], None]) -> None:
        if not isinstance(answer, Page) or self._instant is not told:
            return
        fresh = self._seen.new(answer)
        if fresh:
            told(Page(fresh, answer.cut, answer.box))

    def _aimed(self, answer: Answer, frame: Frame, told: Callable[[Advice], None]) -> None:
        """Also where text cannot be read: codes are found without."""
        if self._aim is not told:
            return
        page = answer if isinstance(answer, Page) else Page()
        advice = self._guide.look(frame.rgb, page, frame.at_s)
        if advice is not None:
            told(advice)
