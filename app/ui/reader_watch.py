"""Which announcements the screen readers that run now understand (Linux; elsewhere all do).

Readers tell the accessibility bus which events they want. One that asks for announcements gets them. An older one (Orca
before 45) does not know them, but speaks the description of the focused object when it changes: it gets that.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Iterable

EVENT, DESCRIPTION = "announcement", "description"
REGISTRY, REGISTRY_PATH = "org.a11y.atspi.Registry", "/org/a11y/atspi/registry"
ASK_TIMEOUT_S = 5.0
STOP_LIMIT_S = 2.0
TOGETHER_S = 0.1


def ways(registered: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The ways that reach every reader, from the pairs (bus name, event) that the registry gives."""
    wanted: dict[str, set[str]] = {}
    for reader, event in registered:
        wanted.setdefault(reader, set()).add(event.replace("-", "").lower().rstrip(":"))
    found = set()
    for events in wanted.values():
        if any("object:announcement".startswith(event) or event.startswith("object:announcement") for event in events):
            found.add(EVENT)
        elif any(event.startswith("object:propertychange") for event in events):
            found.add(DESCRIPTION)
    return frozenset(found)


class ReaderWatch:
    """Follows the registry in a thread of its own; `ways` is safe to read from any thread."""

    def __init__(self) -> None:
        self.ways = frozenset({EVENT})
        self._stopping = False
        self._socket: socket.socket | None = None
        self._guard = threading.Lock()  # of the two above
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns at once; does nothing where there is no accessibility bus."""
        if self._thread is None and sys.platform.startswith("linux") and os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
            self._thread = threading.Thread(target=self._run, name="screen reader watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        with self._guard:
            self._stopping = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # ends the wait for the next signal
        if self._thread is not None:
            self._thread.join(STOP_LIMIT_S)

    def _run(self) -> None:
        try:
            import jeepney  # noqa: F401  # late, and in the thread: the window does not wait for it
        except ImportError:
            return
        # A bus that is not there, or goes away with the session, leaves the last answer.
        with contextlib.suppress(OSError, TimeoutError, EOFError, ValueError, IndexError):
            self._follow()

    def _follow(self) -> None:
        from jeepney import DBusAddress, MatchRule, new_method_call
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        with open_dbus_connection(os.environ["DBUS_SESSION_BUS_ADDRESS"]) as session:
            bus = DBusAddress("/org/a11y/bus", bus_name="org.a11y.Bus", interface="org.a11y.Bus")
            address = session.send_and_get_reply(new_method_call(bus, "GetAddress"), timeout=ASK_TIMEOUT_S).body[0]
        with open_dbus_connection(str(address)) as connection:
            registry = DBusAddress(REGISTRY_PATH, bus_name=REGISTRY, interface=REGISTRY)
            for member in ("EventListenerRegistered", "EventListenerDeregistered"):
                rule = MatchRule(type="signal", interface=REGISTRY, member=member)
                connection.send_and_get_reply(message_bus.AddMatch(rule), timeout=ASK_TIMEOUT_S)
            with self._guard:
                if self._stopping:
                    return
                self._socket = connection.sock
            while True:
                call = new_method_call(registry, "GetRegisteredEvents")
                answer = connection.send_and_get_reply(call, timeout=ASK_TIMEOUT_S).body[0]
                self.ways = ways((str(reader), str(event)) for reader, event in answer)
                connection.receive()
                with contextlib.suppress(TimeoutError):
                    while True:  # a reader that starts registers for dozens of events: ask once
                        connection.receive(timeout=TOGETHER_S)
