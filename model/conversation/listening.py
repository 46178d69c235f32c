"""The user's turn as it arrives: sound in windows, pictures by time, typed text.

What goes into the caches depends on samples and times only, never on how calls cut them: a window is read when it is
complete, with the pictures whose time falls into it, and text when it comes.

The layout of a turn (training and runtime agree on it):

1. A picture seen while no sound span is open, and no sound follows it at once:
   `<|vision_start|><|image_pad|>*n<|vision_end|>`.
2. Sound alone: `<|audio_start|><|audio_pad|>*n<|audio_end|>`.
3. A picture pending when the first sound window is prefilled opens the audio-in-video span
   `<|vision_start|><|audio_start|>` … `<|audio_end|><|vision_end|>`; pictures in it are `<|video_pad|>` tokens, one
   temporal patch per picture (the picture repeated to fill it), placed by time (seconds x positions per second): a
   picture goes before a sound token when its time is not later.
4. A picture that arrives inside a sound-only span closes it, stands as an image (1), and the sound opens a new span.
5. Typed text follows as it is. Then `<|im_end|>`, a new line, `<|im_start|>assistant`, a new line.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.conversation.context import Context, Kind, MediaRows, Rows, TextRows
from model.errors import InputError

if TYPE_CHECKING:
    from model.flash import Flash
    from model.network.audio_encoder import AudioStream
    from model.network.resample import Resampler

MAX_WAITING_PICTURES = 32


@dataclass(frozen=True)
class WaitingPicture:
    """An encoded picture that has not been read yet."""

    item: int
    at_s: float
    embeddings: Tensor  # [n, H]
    deepstack: Tensor  # [layers, n, H]
    n_rows: int  # of the token grid
    n_columns: int


@dataclass(frozen=True)
class Span:
    """An open span of sound."""

    has_pictures: bool  # audio-in-video
    n_tokens: int = 0  # sound tokens in it
    tail: float | None = None  # largest position of the pictures after the last sound token, from the span's base


@dataclass(frozen=True)
class TurnState:
    """How far the user's turn is, apart from the caches; replaced, never changed."""

    role: str = "none"  # whose turn is open: none, user or assistant
    span: Span | None = None
    n_sound_tokens: int = 0  # in this turn: its time line


@dataclass
class Inputs:
    """What has arrived and is not read yet."""

    sound_item: int | None = None
    resampler: Resampler | None = None
    rate_hz: int = 0
    stream: AudioStream | None = None
    pictures: list[WaitingPicture] = field(default_factory=list)


class TurnListener:
    """Turns hear, see and read into rows of a Context. One owning thread: the session's."""

    def __init__(self, flash: Flash, context: Context, audio_window_s: float, max_picture_pixels: int | None) -> None:
        self.flash = flash
        self.context = context
        self.audio_window_s = audio_window_s
        self.max_picture_pixels = max_picture_pixels
        self.state = TurnState()
        self.inputs = Inputs()
        flash.audio_encoder.stream(audio_window_s)  # refuses a wrong window now, not at the first sound

    # ---- sound ---------------------------------------------------------------------------------------------------

    def hear(self, pcm: npt.NDArray[np.float32], rate_hz: int, item: int) -> int:
        """Takes samples; reads the windows that are complete. Returns the item that they belong to."""
        inputs = self.inputs
        if inputs.sound_item is None:
            inputs.sound_item = item
            inputs.stream = self.flash.audio_encoder.stream(self.audio_window_s)
        if inputs.resampler is None or inputs.rate_hz != rate_hz:
            self._feed(inputs.resampler.finish() if inputs.resampler is not None else None)
            inputs.resampler, inputs.rate_hz = self.flash.new_resampler(rate_hz), rate_hz
        self._feed(inputs.resampler.feed(pcm))
        return inputs.sound_item

    def _feed(self, pcm: npt.NDArray[np.float32] | None) -> None:
        if pcm is None or not len(pcm):
            return
        assert self.inputs.stream is not None
        for window in self.inputs.stream.feed(pcm):
            self._read_window(window)

    def commit(self) -> None:
        """Reads what is left of the sound and the pictures that wait, and closes the span."""
        inputs = self.inputs
        if inputs.stream is not None:
            if inputs.resampler is not None:
                self._feed(inputs.resampler.finish())
            window = inputs.stream.finish()
            if window is not None and len(window):
                self._read_window(window)
        waiting, inputs.pictures = inputs.pictures, []
        if self.state.span is not None and self.state.span.has_pictures:
            for picture in waiting:
                self._read_video_picture(picture, picture.at_s)
            waiting = []
        self._close_span()
        for picture in waiting:
            self._read_image(picture)
        self.inputs = Inputs()

    def _read_window(self, window: Tensor) -> None:
        """Reads one window of sound [n, H] with the pictures that fall into it."""
        before = self.state
        try:
            self._read(self._window_rows(window))
        except InputError:
            self.state = before
            raise

    def _window_rows(self, window: Tensor) -> list[Rows]:
        per_second = self.flash.config.thinker.position_id_per_seconds
        done = self.state.n_sound_tokens
        last = done + window.shape[0] - 1
        due = [picture for picture in self.inputs.pictures if picture.at_s * per_second <= last]
        self.inputs.pictures = [picture for picture in self.inputs.pictures if picture.at_s * per_second > last]
        start = 0
        rows: list[Rows] = []
        if self.state.span is None:
            rows.append(self._open_span(has_pictures=bool(due)))
        for picture in due:
            index = max(start, ceil(picture.at_s * per_second) - done)  # goes before the first token not earlier
            rows += self._sound_rows(window[start:index])
            span = self.state.span
            assert span is not None
            if span.has_pictures:
                rows.append(self._video_rows(picture, max(picture.at_s, (done + start) / per_second)))
            else:
                rows += [*self._end_span_rows(), *self._image_rows(picture), self._open_span(has_pictures=False)]
            start = index
        return rows + self._sound_rows(window[start:])

    def _sound_rows(self, embeddings: Tensor) -> list[Rows]:
        count = embeddings.shape[0]
        if not count:
            return []
        span, item = self.state.span, self.inputs.sound_item
        assert span is not None
        assert item is not None
        span = replace(span, n_tokens=span.n_tokens + count, tail=None)
        self.state = replace(self.state, span=span, n_sound_tokens=self.state.n_sound_tokens + count)
        positions = torch.arange(count, dtype=torch.float32).expand(3, count)
        return [MediaRows(item, Kind.SOUND, embeddings, positions, float(count))]

    def _open_span(self, *, has_pictures: bool) -> TextRows:
        thinker = self.flash.config.thinker
        vision_start, _ = self.flash.vision_ends
        self.state = replace(self.state, span=Span(has_pictures))
        ids = (vision_start,) if has_pictures else ()
        assert self.inputs.sound_item is not None
        return TextRows(self.inputs.sound_item, Kind.SOUND, (*ids, thinker.audio_start_token_id))

    def _end_span_rows(self) -> list[TextRows]:
        span = self.state.span
        if span is None:
            return []
        _, audio_end = self.flash.audio_ends
        _, vision_end = self.flash.vision_ends
        ids = (audio_end, vision_end) if span.has_pictures else (audio_end,)
        # The reference counts on from whatever came last: from the last sound token, or from the largest position of
        # the pictures behind it.
        jump = 0.0 if span.tail is None else span.tail + 1.0 - span.n_tokens
        self.state = replace(self.state, span=None)
        assert self.inputs.sound_item is not None
        return [TextRows(self.inputs.sound_item, Kind.SOUND, ids, jump=jump)]

    def _close_span(self) -> None:
        for rows in self._end_span_rows():
            self.context.defer(rows)

    # ---- pictures ------------------------------------------------------------------------------------------------

    def see(self, rgb: npt.NDArray[np.uint8], at_s: float, item: int) -> int:
        """Encodes a picture; it is read when its time has come."""
        features = self.flash.encode_picture(rgb, self.max_picture_pixels)
        picture = WaitingPicture(
            item, at_s, features.embeddings, features.deepstack, features.n_rows, features.n_columns
        )
        pictures = self.inputs.pictures
        pictures.append(picture)
        pictures.sort(key=lambda other: other.at_s)  # stable: equal times stay in order of arrival
        if len(pictures) > MAX_WAITING_PICTURES:
            oldest = pictures.pop(0)
            if self.state.span is None:
                self._read_image(oldest)
            elif self.state.span.has_pictures:
                self._read_video_picture(oldest, oldest.at_s)
            else:
                pictures.insert(0, oldest)
                raise InputError(
                    f"more than {MAX_WAITING_PICTURES} pictures wait for sound of their time; "
                    "hear() the sound before the pictures that belong to it, or call commit()"
                )
        return item

    def _read_image(self, picture: WaitingPicture) -> None:
        self._read(self._image_rows(picture))

    def _image_rows(self, picture: WaitingPicture) -> list[Rows]:
        vision_start, vision_end = self.flash.vision_ends
        advance = float(max(picture.n_rows, picture.n_columns))
        positions = _grid_positions(picture, time=0.0, base=0.0)
        return [
            TextRows(picture.item, Kind.PICTURE, (vision_start,)),
            MediaRows(picture.item, Kind.PICTURE, picture.embeddings, positions, advance, picture.deepstack),
            TextRows(picture.item, Kind.PICTURE, (vision_end,)),
        ]

    def _read_video_picture(self, picture: WaitingPicture, at_s: float) -> None:
        self._read([self._video_rows(picture, at_s)])

    def _video_rows(self, picture: WaitingPicture, at_s: float) -> MediaRows:
        """A picture inside an audio-in-video span: placed by time, it does not move the next position."""
        span = self.state.span
        assert span is not None
        n_before_span = self.state.n_sound_tokens - span.n_tokens
        time = at_s * self.flash.config.thinker.position_id_per_seconds - n_before_span
        positions = _grid_positions(picture, time=max(time, 0.0), base=0.0)
        largest = float(positions.max())
        tail = largest if span.tail is None else max(span.tail, largest)
        self.state = replace(self.state, span=replace(span, tail=tail))
        return MediaRows(
            picture.item, Kind.PICTURE, picture.embeddings, positions - span.n_tokens, 0.0, picture.deepstack
        )

    # ---- text and turns --------------------------------------------------------------------------------------------

    @property
    def has_inputs(self) -> bool:
        """Something was heard or seen that has not been read yet."""
        return self.inputs.stream is not None or bool(self.inputs.pictures)

    def read(self, ids: tuple[int, ...], item: int, role: str, *, goes_on: bool = False) -> None:
        """Reads text of the user's turn, or an earlier reply; `goes_on`: more of the reply that was read last."""
        self.commit()
        if role == "user":
            self._read([TextRows(item, Kind.TEXT, ids)])
        else:
            if goes_on and self.state.role == "assistant":
                self.context.pending.pop()  # the end of the turn, which is not there yet
            else:
                self.open_assistant()
            self.context.prefill([TextRows(item, Kind.REPLY, ids, in_talker=False)])
            self.end_assistant()

    def _read(self, rows: list[Rows]) -> None:
        self._open_user()
        self.context.prefill(rows)

    def _open_user(self) -> None:
        if self.state.role == "user":
            return
        if self.state.role == "assistant":
            self.context.begin_turn()
        self.state = replace(self.state, role="user")
        tokens = self.flash.chat
        self.context.defer(TextRows(0, Kind.FRAME, tokens.user_header))

    def open_assistant(self) -> None:
        """Ends the user's turn and opens the assistant's; the Talker reads only the user's end."""
        tokens = self.flash.chat
        if self.state.role == "user":
            self.context.defer(TextRows(0, Kind.FRAME, tokens.turn_end))
        elif self.state.role == "assistant":
            self.context.turn += 1
        self.state = replace(self.state, role="assistant", span=None, n_sound_tokens=0)
        self.context.defer(TextRows(0, Kind.FRAME, tokens.assistant_header, in_talker=False))

    def end_assistant(self) -> None:
        """Ends the assistant's turn; read with whatever comes next."""
        self.context.defer(TextRows(0, Kind.FRAME, self.flash.chat.turn_end, in_talker=False))

    def forget_waiting(self, item: int) -> bool:
        """Forgets what waits of an item, and ends its sound if it is still being heard; whether there was any."""
        inputs = self.inputs
        n_pictures = len(inputs.pictures)
        inputs.pictures = [picture for picture in inputs.pictures if picture.item != item]
        self.context.forget_pending(item)
        if inputs.sound_item != item:
            return len(inputs.pictures) < n_pictures
        self.inputs = Inputs(pictures=inputs.pictures)
        self.state = replace(self.state, span=None)
        return True

    def drop_inputs(self) -> None:
        """Forgets what has arrived and is not read yet."""
        self.inputs = Inputs()


def _grid_positions(picture: WaitingPicture, *, time: float, base: float) -> Tensor:
    """Time, height and width of each token of a picture, float32 [3, n]."""
    rows = torch.arange(picture.n_rows, dtype=torch.float32).repeat_interleave(picture.n_columns)
    columns = torch.arange(picture.n_columns, dtype=torch.float32).repeat(picture.n_rows)
    return torch.stack((torch.full_like(rows, time), rows + base, columns + base))
