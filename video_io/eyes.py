"""Everything that sees, put together: one chosen source, the selector, warnings and the preview.

`Eyes` owns one thread that opens and closes sources, so that a camera that hangs while it is switched holds up nobody.
Pictures are looked at in the source's own thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from video_io.frames import Frame, FrameSource, SourceEvent, SourceEventKind
from video_io.preview import PreviewSlot, SmallPicture
from video_io.quality import ADVICE, QualityWatch
from video_io.selector import FrameSelector, SelectorSettings
from video_io.sizing import to_jpeg
from video_io.sources import open_source

NO_PICTURES = "none"
QUALITY_INTERVAL_S = 0.5
SWITCH_TIMEOUT_S = 2.0
WATCHED_SPACING_S = 0.08
"""Between two pictures while somebody looks at the preview or speaks: enough to tell whether the camera moves."""
UNWATCHED_SPACING_S = 0.5
"""While nobody does: a question gets a picture that is not older than this."""
LOOKED_AWAY_S = 1.0
SCENE_INTERVAL_S = 2.5
"""Between two changes of the scene that are told: saying what is there takes about as long."""


class Eyes:
    """Callbacks come from threads of this package: hand over and return.

    `on_picture` gets a JPEG that was selected while the user speaks; `on_event` what happens to the source; `on_advice`
    a sentence about a dark, blurred or covered picture; `on_change`, while the scene is watched, that it has
    changed; `on_frame` every picture.
    All methods may be called from any thread and return at once,
    except `look` (a few ms, it writes a JPEG) and `stop`.
    """

    def __init__(
        self,
        choice: str,
        *,
        on_picture: Callable[[bytes], None],
        on_event: Callable[[SourceEvent], None],
        on_advice: Callable[[str], None],
        on_change: Callable[[bool], None] = lambda moving: None,
        on_frame: Callable[[Frame], None] = lambda frame: None,
        clock: Callable[[], float] = time.monotonic,
        open_source: Callable[..., FrameSource] = open_source,
    ) -> None:
        self._on_picture, self._on_event, self._on_advice = on_picture, on_event, on_advice
        self._on_change, self._on_frame_taken = on_change, on_frame
        self._clock = clock
        self._open_source = open_source
        self._changed = threading.Condition()
        self._choice = choice
        self._n_choices = 0
        self._on = True
        self._stopping = False
        self._poke = False  # a question has begun: offer the picture that is there
        self._source: FrameSource | None = None  # owned by the thread; read by look()
        self._thread: threading.Thread | None = None
        self._selecting = threading.Lock()  # guards what follows: frames and pokes come from two threads
        self._selector = FrameSelector()
        self._speaking = False
        self._scene: FrameSelector | None = (
            None  # apart from the other: a picture that was sent is not one that was told
        )
        self._watch = QualityWatch()
        self._watched_at_s = float("-inf")
        self._preview = PreviewSlot()
        self._looked_at_s = float("-inf")

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="eyes", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 2.5) -> None:
        """Closes the source. May be called twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def set_on(self, on: bool) -> None:
        """Off closes the device, and its lamp goes out."""
        with self._changed:
            self._on = on
            self._changed.notify_all()

    def choose(self, choice: str) -> None:
        """A source, as `open_source` takes it, or "none"; the same again is opened anew."""
        with self._changed:
            self._choice = choice
            self._n_choices += 1
            self._changed.notify_all()

    def set_speaking(self, speaking: bool) -> None:
        """While the user speaks, changed pictures are given to `on_picture`; the present one at once."""
        with self._selecting:
            if speaking and not self._speaking:
                self._selector.ask()
            self._speaking = speaking
        if speaking:
            with self._changed:
                self._poke = True
                self._changed.notify_all()

    def begin_turn(self) -> bytes | None:
        """The present picture as JPEG, for the caller to send before the user's sound; None when there is none.

        From here on changed pictures are given to `on_picture`, as after `set_speaking(True)`.
        """
        newest = self.newest()
        with self._selecting:
            self._speaking = True
            self._selector.ask()  # without a picture yet, the first one that comes is sent
            if newest is None:
                return None
            self._selector.offer(replace(newest, at_s=self._clock()), speaking=True)
        return to_jpeg(newest.rgb)

    def follow(self, on: bool) -> None:
        """Goes on or stops giving changed pictures to `on_picture`, without asking for the present one."""
        with self._selecting:
            self._speaking = on

    def watch(self, on: bool) -> None:
        """While on, `on_change` is told when the scene has changed (True: and has not come to rest); at first, now."""
        with self._selecting:
            self._scene = FrameSelector(SelectorSettings(idle_interval_s=SCENE_INTERVAL_S)) if on else None
            if self._scene is not None:
                self._scene.ask()

    def look(self) -> bytes | None:
        """The newest picture as JPEG; None when there is none."""
        frame = self.newest()
        return None if frame is None else to_jpeg(frame.rgb)

    def latest_picture(self) -> SmallPicture | None:
        """For the preview; returns at once. While nobody calls it and nobody speaks, fewer pictures are made."""
        self._looked_at_s = self._clock()
        return self._preview.latest()

    def newest(self) -> Frame | None:
        """The newest picture in full; None when there is none."""
        source = self._source
        return None if source is None else source.latest()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        opened: tuple[str, int] | None = None
        while True:
            with self._changed:
                self._changed.wait_for(partial(self._has_work, opened))
                stopping, wanted, poked = self._stopping, self._wanted(), self._poke
                self._poke = False
            if stopping or wanted != opened:
                self._close()
                opened = None
            if stopping:
                return
            if wanted is not None and opened is None:
                self._open(wanted[0])
                opened = wanted
            if poked:
                newest = self.newest()
                if newest is not None:
                    # The same picture, now: a still source gives the next one only later.
                    self._select(replace(newest, at_s=self._clock()))

    def _has_work(self, opened: tuple[str, int] | None) -> bool:
        return self._stopping or self._poke or self._wanted() != opened

    def _wanted(self) -> tuple[str, int] | None:
        return (self._choice, self._n_choices) if self._on and self._choice != NO_PICTURES else None

    def _open(self, choice: str) -> None:
        try:
            source = self._open_source(choice, clock=self._clock)
        except ValueError as error:
            message = f"“{choice}” cannot be shown: {error}."
            self._on_event(SourceEvent(SourceEventKind.MISSING, choice, message, "Choose another source."))
            return
        with self._selecting:
            self._selector.forget()
            if self._scene is not None:
                self._scene.forget()
            self._watch = QualityWatch()
        self._source = source
        source.set_spacing(WATCHED_SPACING_S)
        source.start(self._on_frame, self._on_source_event)

    def _close(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.stop(SWITCH_TIMEOUT_S)
        self._preview.clear()

    # --- the source's thread ----------------------------------------------------------------------------------------

    def _on_frame(self, frame: Frame) -> None:
        source = self._source
        if source is None:
            return  # a last picture of a source that is being closed
        looked_at = frame.at_s - self._looked_at_s < LOOKED_AWAY_S
        source.set_spacing(WATCHED_SPACING_S if looked_at or self._speaking or self._scene else UNWATCHED_SPACING_S)
        if looked_at or self._preview.latest() is None:
            self._preview.put(frame)
        self._select(frame)
        self._follow_scene(frame)
        self._on_frame_taken(frame)
        if source.is_camera and frame.at_s - self._watched_at_s >= QUALITY_INTERVAL_S:
            self._watched_at_s = frame.at_s
            fault = self._watch.offer(frame)
            if fault is not None:
                self._on_advice(ADVICE[fault])

    def _select(self, frame: Frame) -> None:
        with self._selecting:
            wanted = self._speaking and self._selector.offer(frame, speaking=True)
        if wanted:
            self._on_picture(to_jpeg(frame.rgb))

    def _follow_scene(self, frame: Frame) -> None:
        with self._selecting:
            scene = self._scene
            changed = scene is not None and scene.offer(frame, speaking=False)
            moving = scene is not None and scene.moved
        if changed:
            self._on_change(moving)

    def _on_source_event(self, event: SourceEvent) -> None:
        if event.kind in (SourceEventKind.LOST, SourceEventKind.MISSING, SourceEventKind.DENIED):
            self._preview.clear()
        self._on_event(event)
