"""Opening a page in the user's browser, which is asked for every time."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.tools.base import Arguments, Result, Room, Spec, ToolError, parameters, text


def address(arguments: Arguments) -> str:
    """A page of the web; raises ToolError for anything else, such as a file."""
    url = text(arguments, "url")
    if "://" not in url and "." in url:
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    good = parts.scheme in ("http", "https") and parts.hostname and not parts.username and url.isprintable()
    if not good or " " in url or len(url) > 2000:
        raise ToolError("Only pages of the web can be opened: an address that begins with https://.")
    return url


@dataclass(frozen=True, slots=True)
class OpenPage:
    open_it: Callable[[str], bool] = webbrowser.open

    @property
    def spec(self) -> Spec:
        return Spec(
            "open_page",
            "Open a page",
            "Opens a page in the user's browser. The user is asked first.",
            parameters(("url",), url={"type": "string"}),
        )

    def question(self, arguments: Arguments) -> str:
        return f"Open {urlsplit(address(arguments)).hostname} in your browser?"

    def run(self, arguments: Arguments, room: Room) -> Result:
        url = address(arguments)
        if not self.open_it(url):
            raise ToolError("No browser could be started.")
        return Result(f"{urlsplit(url).hostname} is open in the browser.")
