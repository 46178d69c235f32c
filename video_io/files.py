"""Video files, pictures and folders of pictures: as live sources, or read by time. What a file is, its content says."""

from __future__ import annotations

from pathlib import Path

from pictures.kinds import HEAD_BYTES, PICTURES, kind_of
from video_io.frames import Frame, Rgb, SourceError, SourceEventKind
from video_io.video_file import VideoFile

STILL_INTERVAL_S = 0.5  # a still is offered again, so that "now" always has a picture
FOLDER_INTERVAL_S = 2.0  # each picture of a folder stands this long


def file_kind(path: Path) -> str:
    """What a file is by its first bytes, as `pictures.kinds.kind_of` names it; "" also where it cannot be read."""
    try:
        with path.open("rb") as file:
            return kind_of(file.read(HEAD_BYTES))
    except OSError:
        return ""


def is_still(path: Path) -> bool:
    """Whether a file is one picture: an animated GIF is a video."""
    kind = file_kind(path)
    if kind == "GIF":
        return not _is_animated(path)
    return kind in PICTURES


def _is_animated(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return bool(getattr(image, "is_animated", False))
    except (OSError, ValueError, SyntaxError):
        return False  # damaged: `read_picture` says so


def read_picture(path: Path) -> Rgb:
    """Reads one picture file as RGB [H, W, 3]. Raises SourceError(MISSING) with a message for people."""
    from pictures.decode import PictureError, decode  # late: it takes 0.1 s, and cameras need none of it

    if not path.is_file():
        raise SourceError(SourceEventKind.MISSING, f"There is no picture {path}.", "Check the path.")
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise SourceError(
            SourceEventKind.DENIED, f"{path} cannot be read: {error.strerror}.", "Check who may read it."
        ) from error
    except PictureError as error:
        raise SourceError(SourceEventKind.MISSING, f"{path} {error.message}", error.remedy) from error


def pictures_in(folder: Path) -> list[Path]:
    """The folder's picture files by name. Raises SourceError(MISSING) when there is none."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and is_still(path))
    if not found:
        raise SourceError(
            SourceEventKind.MISSING,
            f"The folder {folder} has no pictures in it.",
            f"Put pictures there ({', '.join(sorted(PICTURES))}).",
        )
    return found


class PictureGrabber:
    """A picture file, or a folder whose pictures follow each other; the last one stays.

    A picture of a folder that cannot be read is reported once, by its name, and passed over from then on.
    """

    is_camera = False
    spacing_s = 0.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.interval_s = STILL_INTERVAL_S
        self._pictures: list[Path] = []
        self._refused: set[Path] = set()
        self._shown: set[Path] = set()
        self._still: Rgb | None = None

    @property
    def label(self) -> str:
        return self.path.name

    def open(self) -> None:
        if not self.path.exists():
            raise SourceError(SourceEventKind.MISSING, f"There is no {self.path}.", "Choose another file.")
        found = pictures_in(self.path) if self.path.is_dir() else [self.path]
        self._pictures = [path for path in found if path not in self._refused]
        if not self._pictures:
            raise SourceError(
                SourceEventKind.MISSING, f"No picture in {self.path} can be read.", "Copy or save them again."
            )
        self.interval_s = FOLDER_INTERVAL_S if len(found) > 1 else STILL_INTERVAL_S

    def grab(self) -> Rgb | None:
        following = next((path for path in self._pictures if path not in self._shown), None)
        if following is None:
            if self._still is None:  # all were shown before a loss: the last one is there again
                self._still = read_picture(self._pictures[-1])
            return self._still
        try:
            self._still = read_picture(following)
        except SourceError:
            if self.path.is_dir():
                self._refused.add(following)
            raise
        self._shown.add(following)
        return self._still

    def close(self) -> None:
        self._still = None


class GivenGrabber:
    """A picture that was handed over as bytes: pasted, or brought by another program."""

    is_camera = False
    spacing_s = 0.0
    interval_s = STILL_INTERVAL_S

    def __init__(self, data: bytes, label: str) -> None:
        self._data = data
        self._label = label
        self._still: Rgb | None = None

    @property
    def label(self) -> str:
        return self._label

    def open(self) -> None:
        from pictures.decode import PictureError, decode

        try:
            self._still = decode(self._data)
        except PictureError as error:
            raise SourceError(SourceEventKind.MISSING, f"{self._label} {error.message}", error.remedy) from error

    def grab(self) -> Rgb | None:
        return self._still

    def close(self) -> None:
        self._still = None


class VideoFileGrabber:
    """A video file at its own pace, each picture when its own time comes. With `repeat` it starts over at its end, as a
    camera never ends.

    Pictures closer together than `spacing_s` are passed over: they are read, because the later ones build on them, but
    not turned into pictures of ours, which costs more.
    """

    is_camera = True  # recorded by one
    spacing_s = 0.0

    def __init__(self, path: Path, *, repeat: bool = True) -> None:
        self.path = path
        self.repeat = repeat
        self._video: VideoFile | None = None
        self._ready = False  # the next picture is read, and `interval_s` is the time until it
        self._interval_s = 1 / 25

    @property
    def label(self) -> str:
        return self.path.name

    @property
    def interval_s(self) -> float:
        return self._interval_s

    def open(self) -> None:
        self._video = VideoFile(self.path)
        self._ready = self._video.advance()
        if not self._ready:
            self._video.close()
            raise SourceError(
                SourceEventKind.MISSING, f"{self.path} has no picture in it.", "Choose another video file."
            )

    def grab(self) -> Rgb | None:
        if not self._ready:
            return None
        assert self._video is not None
        rgb = self._video.picture()
        self._interval_s = self._prepare()
        return rgb

    def _prepare(self) -> float:
        """Reads on to the next picture that is to be shown; the time until it, in s."""
        assert self._video is not None
        passed_s = 0.0
        while True:
            before_s = self._video.at_s
            if self._video.advance():
                passed_s += self._video.at_s - before_s
            else:
                passed_s += self._video.usual_s  # the last picture stands as long as any
                self._ready = False
                if not self.repeat:
                    return passed_s
                # Reopened rather than rewound: seeking to the start fails in some containers.
                self.close()
                self.open()
            if passed_s + 1e-3 >= self.spacing_s:
                return passed_s

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None


class Clip:
    """Pictures by time, for runs without a clock: a video, a picture, or a folder (one picture every 2 s).

    `frame_at` must be called with times that do not go back. Before the first and after the last picture, the nearest
    one is given, as a camera that looks at a still scene would. Single-threaded. Raises SourceError when nothing in it
    can be read.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise SourceError(SourceEventKind.MISSING, f"There is no {path}.", "Check the path.")
        self._video: VideoFile | None = None
        self._pictures: list[Path] = []
        self._next_s: float | None = None  # when the next picture's time comes
        if path.is_dir():
            self._pictures = pictures_in(path)
        elif is_still(path):
            self._pictures = [path]
        else:
            self._video = VideoFile(path)
            if not self._video.advance():
                self._video.close()
                raise SourceError(SourceEventKind.MISSING, f"{path} has no picture in it.", "Choose another file.")
        self._number = -1
        self._rgb = self._take()

    def frame_at(self, at_s: float) -> Frame:
        """The picture that shows at `at_s`, stamped with that time."""
        while self._next_s is not None and self._next_s <= at_s + 1e-9:
            self._rgb = self._take()
        return Frame(self._rgb, at_s, self._number)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None

    def _take(self) -> Rgb:
        """The next picture, and when the one after it comes."""
        self._number += 1
        if self._video is not None:
            rgb = self._video.picture()
            self._next_s = self._video.at_s if self._video.advance() else None
            return rgb
        more = self._number + 1 < len(self._pictures)
        self._next_s = (self._number + 1) * FOLDER_INTERVAL_S if more else None
        return read_picture(self._pictures[self._number])
