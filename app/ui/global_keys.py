"""Keys that work while another window has the keyboard: under X11, asked of the display over libxcb.

Elsewhere there are none, and `problem` says so. Another program may have taken a key: that is said, too.
"""

from __future__ import annotations

import ctypes
from typing import Any

from PySide6.QtCore import QObject, QSocketNotifier, Signal
from PySide6.QtGui import QGuiApplication

X11_ONLY = "Keys that work in other windows need X11; this display is another."
CONTROL, ALT = 4, 8
_LOCKS = (0, 2, 16, 18)  # with and without Caps Lock and Num Lock
_KEY_PRESS = 2
_ASYNCHRONOUS = 1
REPEAT_MS = 700
"""A key that is held is pressed again and again; presses closer together are one."""


class _Cookie(ctypes.Structure):
    _fields_ = (("sequence", ctypes.c_uint),)


class _Screens(ctypes.Structure):
    """xcb_screen_iterator_t; a screen begins with the number of its root window."""

    _fields_ = (("screen", ctypes.POINTER(ctypes.c_uint32)), ("rem", ctypes.c_int), ("index", ctypes.c_int))


class _KeyEvent(ctypes.Structure):
    """The first fields of xcb_key_press_event_t."""

    _fields_ = (
        ("response_type", ctypes.c_uint8),
        ("detail", ctypes.c_uint8),
        ("sequence", ctypes.c_uint16),
        ("time_ms", ctypes.c_uint32),
    )


class GlobalKeys(QObject):
    """Ctrl+Alt and a letter each. `pressed` carries the letter. Lives in the Qt thread; `stop` may be called twice."""

    pressed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.problem = ""
        self._xcb: Any = None
        self._display: ctypes.c_void_p | None = None
        self._letters: dict[int, str] = {}  # by key code
        self._pressed_ms: dict[int, int] = {}
        self._notifier: QSocketNotifier | None = None

    def start(self, letters: str) -> None:
        """Takes Ctrl+Alt with each of these letters."""
        self.stop()
        self.problem = ""
        if QGuiApplication.platformName() != "xcb" or not self._connect():
            self.problem = X11_ONLY
            return
        assert self._display is not None
        self._xcb.xcb_setup_roots_iterator.restype = _Screens
        self._xcb.xcb_get_setup.restype = ctypes.c_void_p
        setup = ctypes.c_void_p(self._xcb.xcb_get_setup(self._display))
        root = self._xcb.xcb_setup_roots_iterator(setup).screen[0]
        taken = [letter for letter in letters if not self._grab(root, letter)]
        if taken:
            keys = " and ".join(f"Ctrl+Alt+{letter}" for letter in taken)
            self.problem = f"Another program has taken {keys}; in other windows Sightline does not get it."
        descriptor = self._xcb.xcb_get_file_descriptor(self._display)
        self._notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._take_events)

    def stop(self) -> None:
        """Gives the keys back."""
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        if self._display is not None:
            self._xcb.xcb_disconnect(self._display)
            self._display = None
        self._letters.clear()
        self._pressed_ms.clear()

    def _connect(self) -> bool:
        try:
            self._xcb, self._keysyms = ctypes.CDLL("libxcb.so.1"), ctypes.CDLL("libxcb-keysyms.so.1")
        except OSError:
            return False
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = (ctypes.c_void_p,)
        for name in ("connect", "poll_for_event", "request_check"):
            getattr(self._xcb, f"xcb_{name}").restype = ctypes.c_void_p
        display = ctypes.c_void_p(self._xcb.xcb_connect(None, None))
        if self._xcb.xcb_connection_has_error(display):
            self._xcb.xcb_disconnect(display)
            return False
        self._display = display
        return True

    def _grab(self, root: int, letter: str) -> bool:
        self._keysyms.xcb_key_symbols_alloc.restype = ctypes.c_void_p
        symbols = ctypes.c_void_p(self._keysyms.xcb_key_symbols_alloc(self._display))
        self._keysyms.xcb_key_symbols_get_keycode.restype = ctypes.POINTER(ctypes.c_uint8)
        codes = self._keysyms.xcb_key_symbols_get_keycode(symbols, ctypes.c_uint32(ord(letter.lower())))
        code = codes[0] if codes else 0
        self._free(ctypes.cast(codes, ctypes.c_void_p))
        self._keysyms.xcb_key_symbols_free(symbols)
        if not code:
            return False
        self._letters[code] = letter
        self._xcb.xcb_grab_key_checked.restype = _Cookie
        cookies = [
            self._xcb.xcb_grab_key_checked(
                self._display,
                ctypes.c_uint8(1),
                ctypes.c_uint32(root),
                ctypes.c_uint16(CONTROL | ALT | lock),
                ctypes.c_uint8(code),
                ctypes.c_uint8(_ASYNCHRONOUS),
                ctypes.c_uint8(_ASYNCHRONOUS),
            )
            for lock in _LOCKS
        ]
        errors = [self._xcb.xcb_request_check(self._display, cookie) for cookie in cookies]
        for error in filter(None, errors):
            self._free(error)
        return not any(errors)

    def _take_events(self) -> None:
        while self._display is not None and (found := self._xcb.xcb_poll_for_event(self._display)):
            event = _KeyEvent.from_buffer_copy(ctypes.string_at(found, ctypes.sizeof(_KeyEvent)))
            self._free(found)
            if event.response_type & 0x7F == _KEY_PRESS and event.detail in self._letters:
                before_ms = self._pressed_ms.get(event.detail)
                self._pressed_ms[event.detail] = event.time_ms
                if before_ms is None or event.time_ms - before_ms > REPEAT_MS:
                    self.pressed.emit(self._letters[event.detail])
        if self._display is not None and self._xcb.xcb_connection_has_error(self._display):
            self.stop()  # the display has gone
