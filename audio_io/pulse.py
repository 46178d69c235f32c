"""What the sound server (PulseAudio, or PipeWire in its place) knows and PortAudio does not tell.

PortAudio sees such a server as one device that is always there. When the microphone is unplugged, the server moves the
stream to another source, at worst to what the speaker plays, and the app would go on without a word. So the server's
own list is watched over a connection of its own. Where libpulse or the server is missing, nothing is known and nothing
is watched: there PortAudio's own devices come and go.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_READY, _FAILED, _TERMINATED = 4, 5, 6
_NO_AUTOSPAWN = 1
_SINKS, _SOURCES, _SERVER = 0x0001, 0x0002, 0x0080
STOP_LIMIT_S: Final = 2.0
NO_SPEAKER: Final = "auto_null"
"""Name of the sink that the server makes up when there is none."""


@dataclass(frozen=True, slots=True)
class ServerDevice:
    """A sink or source of the server; `name` is what PULSE_SINK and PULSE_SOURCE take."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class ServerDevices:
    """The server's real devices, without monitors and made-up ones; the defaults' names."""

    microphones: tuple[ServerDevice, ...]
    speakers: tuple[ServerDevice, ...]
    default_microphone: str
    default_speaker: str


class _DeviceInfo(ctypes.Structure):
    """The first fields of pa_sink_info and pa_source_info, the same in both (pulse/introspect.h)."""

    _fields_ = (("name", ctypes.c_char_p), ("index", ctypes.c_uint32), ("description", ctypes.c_char_p))


class _SampleSpec(ctypes.Structure):
    _fields_ = (("format", ctypes.c_int), ("rate", ctypes.c_uint32), ("channels", ctypes.c_uint8))


class _ServerInfo(ctypes.Structure):
    """The first fields of pa_server_info."""

    _fields_ = (
        ("user_name", ctypes.c_char_p),
        ("host_name", ctypes.c_char_p),
        ("server_version", ctypes.c_char_p),
        ("server_name", ctypes.c_char_p),
        ("sample_spec", _SampleSpec),
        ("default_sink_name", ctypes.c_char_p),
        ("default_source_name", ctypes.c_char_p),
    )


_pointer = ctypes.c_void_p
_StateCallback = ctypes.CFUNCTYPE(None, _pointer, _pointer)
_ListCallback = ctypes.CFUNCTYPE(None, _pointer, ctypes.POINTER(_DeviceInfo), ctypes.c_int, _pointer)
_ServerCallback = ctypes.CFUNCTYPE(None, _pointer, ctypes.POINTER(_ServerInfo), _pointer)
_EventCallback = ctypes.CFUNCTYPE(None, _pointer, ctypes.c_int, ctypes.c_uint32, _pointer)


def _load() -> Any:
    """libpulse with the signatures of what is used here; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library: Any = ctypes.CDLL("libpulse.so.0")
    except OSError:
        return None
    for name, result, arguments in (
        ("pa_mainloop_new", _pointer, []),
        ("pa_mainloop_free", None, [_pointer]),
        ("pa_mainloop_get_api", _pointer, [_pointer]),
        ("pa_mainloop_iterate", ctypes.c_int, [_pointer, ctypes.c_int, _pointer]),
        ("pa_mainloop_wakeup", None, [_pointer]),
        ("pa_context_new", _pointer, [_pointer, ctypes.c_char_p]),
        ("pa_context_set_subscribe_callback", None, [_pointer, _EventCallback, _pointer]),
        ("pa_context_connect", ctypes.c_int, [_pointer, ctypes.c_char_p, ctypes.c_int, _pointer]),
        ("pa_context_get_state", ctypes.c_int, [_pointer]),
        ("pa_context_disconnect", None, [_pointer]),
        ("pa_context_unref", None, [_pointer]),
        ("pa_context_subscribe", _pointer, [_pointer, ctypes.c_int, _pointer, _pointer]),
        ("pa_context_get_sink_info_list", _pointer, [_pointer, _ListCallback, _pointer]),
        ("pa_context_get_source_info_list", _pointer, [_pointer, _ListCallback, _pointer]),
        ("pa_context_get_server_info", _pointer, [_pointer, _ServerCallback, _pointer]),
        ("pa_operation_unref", None, [_pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class PulseWatch:
    """Follows the server's devices in a thread of its own. `devices` is None while nothing is known."""

    def __init__(self, on_change: Callable[[], None] | None = None) -> None:
        self.devices: ServerDevices | None = None
        self._on_change = on_change
        self._library: Any = None
        self._loop: Any = None
        self._stopping = threading.Event()
        self._guard = threading.Lock()  # of _loop, between `stop` and the thread's end
        self._thread: threading.Thread | None = None
        self.settled = threading.Event()
        """Set once the devices are known or cannot be."""

    def start(self) -> None:
        self._library = _load()
        if self._library is None:
            self.settled.set()
            return
        self._thread = threading.Thread(target=self._run, name="sound-server-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._guard:
            if self._loop is not None:
                self._library.pa_mainloop_wakeup(self._loop)
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        retry_s = 0.5
        while not self._stopping.is_set():
            _Connection(self, self._library).run()
            self.settled.set()
            if self._stopping.wait(retry_s):
                return
            retry_s = min(5.0, 2 * retry_s)

    def set_loop(self, loop: Any) -> None:
        with self._guard:
            self._loop = loop

    def stopping(self) -> bool:
        return self._stopping.is_set()

    def publish(self, devices: ServerDevices | None) -> None:
        changed = devices != self.devices
        self.devices = devices
        self.settled.set()
        if changed and self._on_change is not None:
            self._on_change()


class _Connection:
    """One connection to the server, from its start until the server or the watch ends."""

    def __init__(self, watch: PulseWatch, library: Any) -> None:
        self._watch = watch
        self._pa = library
        self._stale = True
        self._pending = 0
        self._sinks: list[ServerDevice] = []
        self._sources: list[ServerDevice] = []
        self._defaults = ("", "")
        # ctypes' callbacks live as long as these attributes.
        self._on_event = _EventCallback(self._note_event)
        self._on_sink = _ListCallback(lambda _c, info, end, _d: self._note(self._sinks, info, end))
        self._on_source = _ListCallback(lambda _c, info, end, _d: self._note(self._sources, info, end))
        self._on_server = _ServerCallback(self._note_server)

    def run(self) -> None:
        pa = self._pa
        loop = pa.pa_mainloop_new()
        context = pa.pa_context_new(pa.pa_mainloop_get_api(loop), b"sightline-devices")
        self._watch.set_loop(loop)
        subscribed = False
        try:
            if pa.pa_context_connect(context, None, _NO_AUTOSPAWN, None) < 0:
                return
            while not self._watch.stopping():
                state = pa.pa_context_get_state(context)
                if state in (_FAILED, _TERMINATED):
                    return
                if state == _READY and not subscribed:
                    subscribed = True
                    pa.pa_context_set_subscribe_callback(context, self._on_event, None)
                    self._release(pa.pa_context_subscribe(context, _SINKS | _SOURCES | _SERVER, None, None))
                if state == _READY and self._stale and not self._pending:
                    self._ask(context)
                if pa.pa_mainloop_iterate(loop, 1, None) < 0:
                    return
        finally:
            self._watch.publish(None)
            self._watch.set_loop(None)
            pa.pa_context_disconnect(context)
            pa.pa_context_unref(context)
            pa.pa_mainloop_free(loop)

    def _ask(self, context: Any) -> None:
        self._stale = False
        self._sinks.clear()
        self._sources.clear()
        self._pending = 3
        self._release(self._pa.pa_context_get_sink_info_list(context, self._on_sink, None))
        self._release(self._pa.pa_context_get_source_info_list(context, self._on_source, None))
        self._release(self._pa.pa_context_get_server_info(context, self._on_server, None))

    def _release(self, operation: Any) -> None:
        if operation:
            self._pa.pa_operation_unref(operation)

    def _note_event(self, _context: Any, _kind: int, _index: int, _data: Any) -> None:
        self._stale = True

    def _note(self, devices: list[ServerDevice], info: Any, end: int) -> None:
        if end or not info:
            self._answered()
            return
        name = (info.contents.name or b"").decode(errors="replace")
        description = (info.contents.description or b"").decode(errors="replace")
        devices.append(ServerDevice(name, description or name))

    def _note_server(self, _context: Any, info: Any, _data: Any) -> None:
        if info:
            self._defaults = (
                (info.contents.default_source_name or b"").decode(errors="replace"),
                (info.contents.default_sink_name or b"").decode(errors="replace"),
            )
        self._answered()

    def _answered(self) -> None:
        self._pending -= 1
        if self._pending == 0 and not self._stale:
            self._watch.publish(
                ServerDevices(
                    microphones=tuple(d for d in self._sources if not d.name.endswith(".monitor")),
                    speakers=tuple(d for d in self._sinks if d.name != NO_SPEAKER),
                    default_microphone=self._defaults[0],
                    default_speaker=self._defaults[1],
                )
            )
