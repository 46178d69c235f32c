"""Windows of an X display: which has the keyboard, what it is called and where it stands, asked over libxcb.

Xlib would end the process where a window closes between two questions; here each answer is simply missing then.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

_ANY_TYPE, _WM_NAME = 0, 39
_POINTER_ROOT = 1
_MAX_TITLE_BYTES = 1024


class _Cookie(ctypes.Structure):
    _fields_ = (("sequence", ctypes.c_uint),)


_HEAD = (
    ("response_type", ctypes.c_uint8),
    ("detail", ctypes.c_uint8),
    ("sequence", ctypes.c_uint16),
    ("length", ctypes.c_uint32),
)
"""How every reply begins."""


class _One(ctypes.Structure):
    """Replies with one number: xcb_intern_atom, xcb_get_input_focus."""

    _fields_ = (*_HEAD, ("value", ctypes.c_uint32))


class _Tree(ctypes.Structure):
    _fields_ = (*_HEAD, ("root", ctypes.c_uint32), ("parent", ctypes.c_uint32))


class _Geometry(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("root", ctypes.c_uint32),
        ("x", ctypes.c_int16),
        ("y", ctypes.c_int16),
        ("width", ctypes.c_uint16),
        ("height", ctypes.c_uint16),
    )


class _Place(ctypes.Structure):
    _fields_ = (*_HEAD, ("child", ctypes.c_uint32), ("x", ctypes.c_int16), ("y", ctypes.c_int16))


@dataclass(frozen=True, slots=True)
class Window:
    """A window as it is now; px of the whole display. `pid`: the process that owns it, 0 where it does not say."""

    number: int
    title: str
    pid: int
    left: int
    top: int
    width: int
    height: int


class Display:
    """A connection to the display. One thread uses it. Raises OSError where there is none, or no libxcb."""

    def __init__(self) -> None:
        self._xcb = ctypes.CDLL("libxcb.so.1")
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = (ctypes.c_void_p,)
        self._xcb.xcb_connect.restype = ctypes.c_void_p
        self._display = ctypes.c_void_p(self._xcb.xcb_connect(None, None))
        if self._xcb.xcb_connection_has_error(self._display):
            self.close()
            raise OSError("there is no X display")

    def close(self) -> None:
        """May be called twice."""
        if self._display:
            self._xcb.xcb_disconnect(self._display)
            self._display = ctypes.c_void_p(None)

    def focused(self) -> Window | None:
        """The window that has the keyboard, as the window manager says, or the display itself where there is none."""
        focus = self._ask("get_input_focus", _One)
        if focus is None or focus.value <= _POINTER_ROOT:
            return None
        tree = self._ask("query_tree", _Tree, ctypes.c_uint32(focus.value))
        if tree is None:
            return None
        named = self._property(tree.root, "_NET_ACTIVE_WINDOW", 4)
        number = int.from_bytes(named, sys.byteorder) if len(named) == 4 else 0
        if not number:
            number = focus.value
            while tree is not None and tree.parent not in (0, tree.root):
                number = tree.parent
                tree = self._ask("query_tree", _Tree, ctypes.c_uint32(number))
        return self.look_at(number)

    def look_at(self, number: int) -> Window | None:
        """This window; None when there is no such window any more."""
        shape = self._ask("get_geometry", _Geometry, ctypes.c_uint32(number))
        if shape is None:
            return None
        root = ctypes.c_uint32(shape.root)
        place = self._ask(
            "translate_coordinates", _Place, ctypes.c_uint32(number), root, ctypes.c_int16(0), ctypes.c_int16(0)
        )
        whole = self._ask("get_geometry", _Geometry, root)
        if place is None or whole is None:
            return None
        left, top = max(0, place.x), max(0, place.y)
        right, bottom = min(whole.width, place.x + shape.width), min(whole.height, place.y + shape.height)
        title = self._property(number, "_NET_WM_NAME", _MAX_TITLE_BYTES) or self._property(number, "", _MAX_TITLE_BYTES)
        pid = self._property(number, "_NET_WM_PID", 4)
        return Window(
            number,
            title.decode("utf-8", "replace"),
            int.from_bytes(pid, sys.byteorder) if len(pid) == 4 else 0,
            left,
            top,
            max(0, right - left),
            max(0, bottom - top),
        )

    def _property(self, window: int, name: str, n_bytes: int) -> bytes:
        """Its first bytes; none where the window has no such property. `name` "": its title of old."""
        atom = _WM_NAME
        if name:
            known = self._ask("intern_atom", _One, 1, ctypes.c_uint16(len(name)), name.encode())
            if known is None or not known.value:
                return b""
            atom = known.value
        words = (n_bytes + 3) // 4
        arguments = [ctypes.c_uint32(number) for number in (window, atom, _ANY_TYPE, 0, words)]
        reply = self._reply("get_property", 0, *arguments)
        if not reply:
            return b""
        self._xcb.xcb_get_property_value.restype = ctypes.c_void_p
        length = self._xcb.xcb_get_property_value_length(reply)
        value = ctypes.string_at(self._xcb.xcb_get_property_value(reply), length)
        self._free(reply)
        return value[:n_bytes]

    def _ask(self, name: str, kind: type[Any], *arguments: Any) -> Any:
        """A copy of the reply; None where there is none."""
        reply = self._reply(name, *arguments)
        if not reply:
            return None
        copied = kind.from_buffer_copy(ctypes.string_at(reply, ctypes.sizeof(kind)))
        self._free(reply)
        return copied

    def _reply(self, name: str, *arguments: Any) -> Any:
        ask, wait = getattr(self._xcb, f"xcb_{name}"), getattr(self._xcb, f"xcb_{name}_reply")
        ask.restype, wait.restype = _Cookie, ctypes.c_void_p
        error = ctypes.c_void_p(None)
        reply = wait(self._display, ask(self._display, *arguments), ctypes.byref(error))
        if error:
            self._free(error)
        return ctypes.c_void_p(reply) if reply else None
