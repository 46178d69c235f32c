"""Whether there can be a window, found out before Qt tries: Qt aborts the process, and names the wrong library."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

CONNECT_TIMEOUT_S = 2.0
# What Qt's X11 plugin loads beyond its wheel, and the Debian packages that have it.
X11_LIBRARIES = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
}
WITHOUT = "or use Sightline without a window: main.py converse --help"


class NoDisplay(Exception):  # noqa: N818  # it is a state of the machine, not a fault
    """There is no display to show a window on. The message says what to do."""


def check_display(environment: Mapping[str, str] = os.environ) -> None:
    """Raises NoDisplay when Qt could not open a window here (Linux; elsewhere there always is a display)."""
    if not sys.platform.startswith("linux") or environment.get("QT_QPA_PLATFORM", "xcb") != "xcb":
        return
    if environment.get("WAYLAND_DISPLAY"):
        return
    display = environment.get("DISPLAY", "")
    if not display:
        raise NoDisplay(f"There is no display, so there can be no window. Log in to a desktop, {WITHOUT}")
    if not _answers(display):
        raise NoDisplay(f"The display {display} does not answer. Check the variable DISPLAY, {WITHOUT}")
    missing = [package for library, package in X11_LIBRARIES.items() if not _loads(library)]
    if missing:
        raise NoDisplay(f"The window needs system packages: sudo apt-get install -y {' '.join(missing)} — {WITHOUT}")


def _answers(display: str) -> bool:
    """Whether an X server takes connections at `host:number.screen`; a form that we do not know counts as yes."""
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return True
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        addresses = [path] if Path(path).exists() else []
        return any(_connects(socket.AF_UNIX, address) for address in (*addresses, f"\0{path}"))
    if host.startswith("/"):
        return True
    try:
        with socket.create_connection((host, 6000 + int(number)), CONNECT_TIMEOUT_S):
            return True
    except OSError:
        return False


def _connects(family: int, address: str) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
