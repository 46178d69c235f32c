"""Reads and works the app as a screen reader does: over AT-SPI, the accessibility bus of Linux desktops.

Nothing in the app knows of this; what stands in the tree is what Orca finds. What Orca says: tests/e2e/orca.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jeepney import DBusAddress, MatchRule, MessageType, new_method_call
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

from tests.sound_server import wait_until

ACCESSIBLE, TEXT, ACTION = "org.a11y.atspi.Accessible", "org.a11y.atspi.Text", "org.a11y.atspi.Action"
REGISTRY, ROOT = "org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"
# What is inside them is not looked at.
LEAVES = frozenset({"menu bar", "combo box", "text", "push button", "check box", "label"})
SHOWING_BIT = 25  # ATSPI_STATE_SHOWING
CHECKED_BIT = 4  # ATSPI_STATE_CHECKED
FOCUSED_BIT = 12  # ATSPI_STATE_FOCUSED
CALL_TIMEOUT_S = 10.0


class Gone(Exception):  # noqa: N818  # a state of the tree, which changes while it is read
    """The object has vanished in the meantime."""


@dataclass(frozen=True)
class Node:
    """One object of the accessibility tree."""

    bus_name: str
    path: str
    role: str
    name: str


class ScreenReader:
    """One connection to the accessibility bus. `announcements` collects what the app has the screen reader say."""

    def __init__(self, session_address: str) -> None:
        with open_dbus_connection(session_address) as session:
            bus = DBusAddress("/org/a11y/bus", bus_name="org.a11y.Bus", interface="org.a11y.Bus")
            address = session.send_and_get_reply(new_method_call(bus, "GetAddress"), timeout=CALL_TIMEOUT_S).body[0]
        self._connection = open_dbus_connection(address)
        self.announcements: list[str] = []
        self._listening = open_dbus_connection(address)
        rule = MatchRule(type="signal", interface="org.a11y.atspi.Event.Object", member="Announcement")
        self._listening.send_and_get_reply(message_bus.AddMatch(rule), timeout=CALL_TIMEOUT_S)
        registry = DBusAddress("/org/a11y/atspi/registry", bus_name=REGISTRY, interface=REGISTRY)
        # Without somebody who asks for them, Qt sends no events.
        self._listening.send_and_get_reply(
            new_method_call(registry, "RegisterEvent", "s", ("object:announcement",)), timeout=CALL_TIMEOUT_S
        )
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="screen reader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join(5)
        self._listening.close()
        self._connection.close()

    def nodes(self, *, only_showing: bool = True) -> Iterator[Node]:
        """Everything there is, from the top; what is hidden is left out."""
        yield from self._walk(REGISTRY, ROOT, only_showing, is_window=False)

    def find(self, role: str, name: str | Callable[[str], bool]) -> Node | None:
        """The first shown object of this role and name."""
        fits = name if callable(name) else lambda given: given == name
        return next((node for node in self.nodes() if node.role == role and fits(node.name)), None)

    def wait_for(self, role: str, name: str | Callable[[str], bool], limit_s: float = 30.0) -> Node:
        found: list[Node] = []

        def there() -> bool:
            node = self.find(role, name)
            found.extend([node] if node else [])
            return node is not None

        wait_until(there, f"there is a {role} called {name!r}", limit_s)
        return found[-1]

    def menu_items(self) -> Iterator[Node]:
        """What stands in the menus of the main window, whether they are open or not."""
        bar = self.wait_for("menu bar", lambda _name: True)
        for menu in self._children(bar):
            for inside in self._children(menu):
                yield from self._children(inside) if inside.role == "popup menu" else (inside,)

    def _children(self, node: Node) -> Iterator[Node]:
        for bus_name, path in self._call(node.bus_name, node.path, ACCESSIBLE, "GetChildren")[0]:
            role = str(self._call(bus_name, path, ACCESSIBLE, "GetRoleName")[0])
            yield Node(bus_name, path, role, str(self._property(bus_name, path, "Name")))

    def text_of(self, node: Node) -> str:
        """What stands in a text field or pane."""
        return str(self._call(node.bus_name, node.path, TEXT, "GetText", "ii", (0, -1))[0])

    def name_of(self, node: Node) -> str:
        return str(self._property(node.bus_name, node.path, "Name"))

    def showing(self, node: Node) -> bool:
        return self._has(node, SHOWING_BIT)

    def checked(self, node: Node) -> bool:
        return self._has(node, CHECKED_BIT)

    def focused(self, node: Node) -> bool:
        return self._has(node, FOCUSED_BIT)

    def _has(self, node: Node, bit: int) -> bool:
        low, _high = self._call(node.bus_name, node.path, ACCESSIBLE, "GetState")[0]
        return bool(low >> bit & 1)

    def press(self, node: Node) -> None:
        """The object's first action: what Enter does to a button."""
        self._call(node.bus_name, node.path, ACTION, "DoAction", "i", (0,))

    def _walk(self, bus_name: str, path: str, only_showing: bool, *, is_window: bool) -> Iterator[Node]:
        try:
            role = str(self._call(bus_name, path, ACCESSIBLE, "GetRoleName")[0])
            if is_window and only_showing:
                low, _high = self._call(bus_name, path, ACCESSIBLE, "GetState")[0]
                if not low >> SHOWING_BIT & 1:
                    return
            yield Node(bus_name, path, role, str(self._property(bus_name, path, "Name")))
            children = [] if role in LEAVES else self._call(bus_name, path, ACCESSIBLE, "GetChildren")[0]
        except Gone:
            return
        inside = is_window or role == "application"
        for child_bus, child_path in children:
            yield from self._walk(child_bus, child_path, only_showing, is_window=inside)

    def _property(self, bus_name: str, path: str, name: str) -> Any:
        answer = self._call(bus_name, path, "org.freedesktop.DBus.Properties", "Get", "ss", (ACCESSIBLE, name))
        return answer[0][1]

    def _call(
        self, bus_name: str, path: str, interface: str, member: str, signature: str | None = None, body: Any = ()
    ) -> Any:
        address = DBusAddress(path, bus_name=bus_name, interface=interface)
        call = new_method_call(address, member, signature, body)
        reply = self._connection.send_and_get_reply(call, timeout=CALL_TIMEOUT_S)
        if reply.header.message_type is MessageType.error:
            raise Gone(f"{member} of {path}: {reply.body}")
        return reply.body

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                message = self._listening.receive(timeout=0.2)
            except TimeoutError:
                continue
            except (ConnectionError, OSError):
                return
            if message.header.message_type is MessageType.signal and message.body:
                # (detail, 1, 2, any data, properties): the data is the text.
                self.announcements.append(str(message.body[3][1]))
