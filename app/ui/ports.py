"""What the window needs besides the Assistant; main.py puts the concrete parts in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from app.history import History
from app.settings import Settings

if TYPE_CHECKING:
    # For the type only: importing it takes half a second, which the window must not wait for.
    from app.interface import AssistantInterface
    from app.models.ports import ModelShop
    from app.tools.toolbox import Offered

DeviceKind = Literal["microphone", "speaker", "pictures"]


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """One entry of a picker: the name that `ChooseDevice` takes, and what people read."""

    name: str
    label: str


class Picture(Protocol):
    """A small picture for the preview: 8-bit RGB rows without gaps, at most about 640 x 480."""

    @property
    def number(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def rgb(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class ToolsShown:
    """What the settings list. `problems`: of MCP servers that do not work, why."""

    tools: tuple[Offered, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WindowParts:
    """Everything that is not Qt.

    `settings` gives the settings as they are now; it must return at once.
    `compose` makes the Assistant and may take seconds: it runs in a thread of its own while the window is already up.
    `list_devices` may take seconds too and is called in a worker thread. `latest_picture` must return at once: it is
    called from the Qt thread about twelve times a second.
    """

    settings: Callable[[], Settings]
    compose: Callable[[], AssistantInterface]
    list_devices: Callable[[DeviceKind], list[DeviceChoice]]
    latest_picture: Callable[[], Picture | None]
    tools: Callable[[], ToolsShown] = ToolsShown
    """The tools as they are now; must return at once."""
    open_history: Callable[[], History] = History
    """Called in a worker thread, as often as something is read; may raise HistoryError."""
    model_shop: Callable[[], ModelShop] | None = None
    """Makes what the Models page works with, when it is opened first; None: there is no such page."""
