"""The desktop app as its user runs it: its own process, a real display, sound server, accessibility bus and engine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.screen_reader import Gone, Node, ScreenReader
from tests.sound_server import SoundServer, sound_server, wait_until

ROOT = Path(__file__).resolve().parents[2]
ENGINE_LIMIT_S = 120.0  # loading on a busy test machine


@dataclass
class Desktop:
    """A running app. `environment` is the user's session."""

    sound: SoundServer
    environment: dict[str, str]
    reader: ScreenReader
    process: subprocess.Popen[bytes]
    log: Path
    window_after_s: float
    _known: dict[str, Node] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """What the window says it is doing: "Listening"."""
        return self._shown("state", "label", "State: ", by_name=True).removeprefix("State: ")

    @property
    def transcript(self) -> str:
        """Empty while the first screen stands in its place."""
        if "transcript" not in self._known and self.reader.find("text", lambda name: name == "Transcript") is None:
            return ""
        return self._shown("transcript", "text", "Transcript")

    @property
    def problems(self) -> str:
        """The message in the banner; empty when there is none."""
        return self._words_in("Problems")

    @property
    def no_pictures(self) -> str:
        """What stands where the picture would be, when there is a problem with it."""
        return self._words_in("Pictures")

    def _words_in(self, panel: str) -> str:
        with contextlib.suppress(StopIteration, Gone):
            nodes = self.reader.nodes()
            found = next(node for node in nodes if (node.role, node.name) == ("panel", panel))
            if not self.reader.showing(found):
                return ""
            return next(node.name for node in nodes if node.role == "label" and node.name)
        return ""

    def switched(self, name: str, on: bool) -> None:
        """Waits until the switch ("Microphone") is on or off."""
        node = self.reader.wait_for("check box", name)
        self.wait_until(lambda: self.reader.checked(node) is on, f"{name} is {'on' if on else 'off'}")

    def status(self, begins: str) -> str:
        """A field of the status bar."""
        return self.reader.wait_for("label", lambda name: name.startswith(begins)).name

    def press(self, button: str) -> None:
        self.reader.press(self.reader.wait_for("push button", button))

    def key(self, keys: str) -> None:
        """A key of the real keyboard, as xdotool names it."""
        self._xdotool("key", "--clearmodifiers", keys)

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """A key that is held down; the display repeats it, as displays do."""
        self._xdotool("keydown", key)
        try:
            yield
        finally:
            self._xdotool("keyup", key)

    def type(self, text: str) -> None:
        self._xdotool("type", "--delay", "20", text)

    def wait_state(self, *states: str, limit_s: float = 60.0) -> None:
        self.wait_until(lambda: self.state in states, f"the state is {' or '.join(states)}", limit_s)

    def wait_until(self, condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
        """As `tests.sound_server.wait_until`, and says what the window shows when it waited in vain."""
        try:
            wait_until(condition, what, limit_s)
        except AssertionError as error:
            seen = f"state: {self.state}\nproblems: {self.problems}\ntranscript: {self.transcript[-1500:]}"
            raise AssertionError(f"{error}\n{seen}\nannounced: {self.reader.announcements[-8:]}") from error

    def screenshot(self, path: Path) -> None:
        """What stands on the display, as PNG."""
        command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "x11grab", "-video_size", self._window_size()]
        command += ["-draw_mouse", "0", "-i", self.environment["DISPLAY"], "-frames:v", "1", str(path)]
        subprocess.run(command, env=self.environment, check=True, timeout=30)

    def descendants(self) -> list[int]:
        """The app's processes, itself first."""
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                rest = stat.read_text().rpartition(")")[2].split()
                children.setdefault(int(rest[1]), []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def engine_pid(self) -> int:
        """The engine's process; AssertionError when there is none."""
        for pid in self.descendants():
            with contextlib.suppress(OSError):
                if b"\0engine\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        raise AssertionError("there is no engine process")

    def quit(self, how: signal.Signals | str = signal.SIGTERM) -> float:
        """Quits and returns the seconds until every process had ended."""
        pids = self.descendants()
        started_s = time.monotonic()
        if isinstance(how, str):
            self.key(how)
        else:
            self.process.send_signal(how)
        self.process.wait(20)
        wait_until(lambda: not any(_alive(pid) for pid in pids), "every process has ended", 20)
        return time.monotonic() - started_s

    def _shown(self, key: str, role: str, name: str, *, by_name: bool = False) -> str:
        """An object's text (or name). Where it was found is remembered: walking the tree takes many calls."""
        for _ in range(2):
            if key not in self._known:
                self._known[key] = self.reader.wait_for(role, lambda given: given.startswith(name))
            try:
                node = self._known[key]
                return self.reader.name_of(node) if by_name else self.reader.text_of(node)
            except Gone:
                del self._known[key]
        raise AssertionError(f"the {role} {name!r} vanishes again and again")

    def _xdotool(self, *arguments: str) -> None:
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "^Sightline$"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        focus = ["windowfocus", "--sync", found.stdout.split()[0]]
        subprocess.run(["xdotool", *focus, *arguments], env=self.environment, timeout=30, check=True)

    def _window_size(self) -> str:
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "^Sightline$", "getwindowgeometry", "--shell"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        values = dict(line.split("=") for line in found.stdout.splitlines() if "=" in line)
        return f"{values['WIDTH']}x{values['HEIGHT']}"


@dataclass
class Session:
    """A user's session without the app: display, sound, message bus, and a private home."""

    sound: SoundServer
    environment: dict[str, str]
    home: Path

    @contextlib.contextmanager
    def app(self, settings: dict[str, object], *arguments: str) -> Iterator[Desktop]:
        """Starts the app with these settings and ends it with everything that it started."""
        folder = Path(self.environment["XDG_CONFIG_HOME"]) / "sightline"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        log = self.home / f"app-{time.monotonic_ns()}.log"
        started_s = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "main.py"), *arguments],
                env=self.environment,
                cwd=self.home,
                stdout=output,
                stderr=output,
            )
        reader: ScreenReader | None = None
        pids = [process.pid]
        try:
            wait_until(lambda: self._window_is_up(process, log), "the window is up", 60)
            window_after_s = time.monotonic() - started_s
            reader = ScreenReader(self.environment["DBUS_SESSION_BUS_ADDRESS"])
            desktop = Desktop(self.sound, self.environment, reader, process, log, window_after_s)
            yield desktop
            pids = desktop.descendants()
        finally:
            if reader is not None:
                reader.close()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(20)
            lines = log.read_text(errors="replace").splitlines()
            print("\n".join(line for line in lines if not line.startswith("ALSA lib"))[-8000:])

    def _window_is_up(self, process: subprocess.Popen[bytes], log: Path) -> bool:
        if process.poll() is not None:
            raise AssertionError(f"the app ended with {process.returncode}: {log.read_text(errors='replace')[-2000:]}")
        search = ["xdotool", "search", "--onlyvisible", "--name", "^Sightline$"]
        return bool(subprocess.run(search, env=self.environment, capture_output=True, timeout=20, check=False).stdout)


@contextlib.contextmanager
def session(*, with_sound_devices: bool = True) -> Iterator[Session]:
    """Display, sound server and message bus of their own; nothing of the machine's session is touched."""
    with contextlib.ExitStack() as stack:
        sound = stack.enter_context(sound_server())
        if with_sound_devices:
            sound.begin_room()
        else:
            for name in list(reversed(sound.modules)):  # what was plugged in last depends on what was before
                sound.unload(name)
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="desk", ignore_cleanup_errors=True)))
        environment = dict(sound.environment) | {
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(ROOT / "out" / "test-cache"),  # a random checkpoint is made once, not once a test
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",  # a screen reader is running
            "QT_QPA_PLATFORM": "xcb",
            "OMP_NUM_THREADS": "1",
            "PYTHONFAULTHANDLER": "1",
        }
        environment["DISPLAY"] = stack.enter_context(_display())
        environment["DBUS_SESSION_BUS_ADDRESS"] = stack.enter_context(_message_bus(environment))
        yield Session(sound, environment, home)


@contextlib.contextmanager
def _display() -> Iterator[str]:
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1400x1000x24", "-nolisten", "tcp", "-noreset"]
    process = subprocess.Popen(command, pass_fds=(writer,), stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as numbers:
            yield f":{numbers.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def _message_bus(environment: dict[str, str]) -> Iterator[str]:
    """A session bus; the accessibility bus and its registry are started by it and end with it."""
    command = ["dbus-daemon", "--session", "--nofork", "--print-address=1"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def _alive(pid: int) -> bool:
    """False for processes that have ended, and for those that only wait to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
