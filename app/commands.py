"""What a front can ask of the Assistant: immutable commands for `Assistant.send`, which never blocks.

Every command is safe in every state; one that makes no sense now is answered with an announcement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SendText:
    """The user typed something. Interrupts a reply; goes to the engine with a fresh picture if the camera is on."""

    text: str


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    """Talk (True) or mute (False). Muting in the middle of a word ends the turn cleanly."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetCamera:
    """Pictures on or off. Off means that the device is closed."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetPrivacy:
    """One key for both: microphone and camera off (True), or both back on (False)."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetNarration:
    """Ctrl+J: say by yourself what changes in front of the camera, until it is turned off."""

    on: bool


@dataclass(frozen=True, slots=True)
class PushToTalk:
    """The push-to-talk key went down or up. Bypasses the voice detector; works while the microphone is off."""

    down: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """Esc: be silent and drop the rest of the reply."""


@dataclass(frozen=True, slots=True)
class Describe:
    """Ctrl+D: say what the camera sees now."""


@dataclass(frozen=True, slots=True)
class ReadAloud:
    """Read the text in the picture aloud, word for word and in order. Needs no model."""


@dataclass(frozen=True, slots=True)
class CheckAgain:
    """Ask the last question about a picture twice more, of new pictures, and say whether the answers agree."""


@dataclass(frozen=True, slots=True)
class MoveReading:
    """In what is read aloud: pause or go on, the next, the one before, again, letter by letter."""

    step: Literal["pause", "next", "back", "again", "spell"]


@dataclass(frozen=True, slots=True)
class SetInstantText:
    """Read what comes into view, each text once, until it is turned off."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetAim:
    """Say which way to move the camera, until it is turned off."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetLightTone:
    """A tone that is higher the brighter it is, until it is turned off."""

    on: bool


@dataclass(frozen=True, slots=True)
class LookAt:
    """Bar and QR codes, the colour in the middle, or how bright it is and where the light comes from."""

    what: Literal["codes", "colour", "light"]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Play the last reply again, as it was spoken."""


@dataclass(frozen=True, slots=True)
class NewConversation:
    """Forget the conversation (the history keeps it) and begin a new one."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Start the engine again after it failed."""


@dataclass(frozen=True, slots=True)
class ChooseDevice:
    """Use another device at once. `name` None: the system's default. For pictures: a source as the picker names it
    ("camera:0", "screen:1", "file:/path", "none")."""

    kind: Literal["microphone", "speaker", "pictures"]
    name: str | None


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """Ctrl+Shift+Y, Ctrl+Shift+N: what a tool asks before it acts (`View.question`)."""

    yes: bool


@dataclass(frozen=True, slots=True)
class ShowPicture:
    """Look at this picture (the bytes of a file) until another source is chosen. Nothing of it is kept."""

    data: bytes
    name: str


@dataclass(frozen=True, slots=True)
class LookThrough:
    """Take pictures from this source, named as in the picker, until another is chosen. It is not kept in the settings.

    `then`: what is done with its first picture.
    """

    source: str
    then: Literal["", "describe", "read"] = ""


@dataclass(frozen=True, slots=True)
class BackToCamera:
    """Take pictures from the camera again, or from what the settings name."""


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """Some settings changed (names as in `app.settings.Settings`). Persisted, and put to work at once where they can
    be: voice and instructions from the next reply on, the checkpoint by restarting the engine. Values that are not
    valid are refused with a problem that says why."""

    changes: tuple[tuple[str, object], ...]


Command = (
    SendText
    | SetMicrophone
    | SetCamera
    | SetPrivacy
    | SetNarration
    | PushToTalk
    | Stop
    | Describe
    | ReadAloud
    | CheckAgain
    | MoveReading
    | SetInstantText
    | SetAim
    | SetLightTone
    | LookAt
    | Repeat
    | NewConversation
    | Retry
    | ChooseDevice
    | ShowPicture
    | LookThrough
    | BackToCamera
    | AnswerQuestion
    | ChangeSettings
)
