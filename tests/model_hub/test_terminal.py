"""`models get` as it looks: bars on a real terminal, lines in a log, JSON for programs, and Ctrl+C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import make_tokenizer, random_config
from tests.model_hub.hub_server import Fault, Hub, serve_hub

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")]

ROOT = Path(__file__).resolve().parents[2]
N_SHARDS = 7
TIME_LIMIT_S = 90
COLUMNS = 100


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = make_tokenizer()
    folder = tmp_path_factory.mktemp("tiny")
    return write_random_checkpoint(folder, random_config(tokenizer), tokenizer, n_shards=N_SHARDS)


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[Hub]:
    with serve_hub(checkpoint) as served:
        yield served


def command(hub: Hub, folder: Path, *options: str) -> list[str]:
    address = f"hf+{hub.url}/{hub.repository}"
    return [sys.executable, str(ROOT / "main.py"), "models", "get", address, "--folder", str(folder), *options]


def environment(tmp_path: Path) -> dict[str, str]:
    return dict(os.environ) | {"XDG_CONFIG_HOME": str(tmp_path / "config"), "PYTHONUNBUFFERED": "1"}


class Terminal:
    """A command on a pseudo-terminal of 100 columns; what it shows is read until it ends."""

    def __init__(self, arguments: list[str], tmp_path: Path) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            arguments, cwd=ROOT, env=environment(tmp_path), stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self._shown = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 65536):
                self._shown += data
        except OSError:
            return  # how Linux says that the other side has been closed

    def end(self) -> list[str]:
        """All that was shown, a line or a state of the bar each."""
        try:
            self.process.wait(TIME_LIMIT_S)
            self._reader.join(10)
        finally:
            self.process.kill()
            self.process.wait(10)
            os.close(self._master)
        return [part for part in re.split(r"[\r\n]+", self._shown.decode()) if part.strip()]


def test_a_bar_on_a_terminal(hub: Hub, tmp_path: Path) -> None:
    hub.faults["model-00003-of-00007.safetensors"] = Fault("corrupt", times=1, at=1000)
    terminal = Terminal(command(hub, tmp_path / "models", "--bits", "4"), tmp_path)
    shown = terminal.end()
    assert terminal.process.returncode == 0, shown
    bars = [part for part in shown if "%|" in part]
    percents = [int(found[1]) for part in bars if (found := re.search(r"(\d+)%\|", part))]
    assert percents[0] < 20
    assert percents[-1] == 100
    assert len(bars) > N_SHARDS
    assert max(len(part) for part in bars) <= COLUMNS
    assert any(part.startswith("fetching:") for part in bars)
    assert any(part.startswith("converting:") for part in bars)
    assert any(part.startswith("model-00003-of-00007.safetensors: wrong checksum; this file is") for part in shown)
    assert shown[-1] == f"tiny--flash-int4 is ready: {tmp_path}/models/tiny--flash-int4"


def test_ctrl_c_is_a_pause_and_the_same_command_goes_on(hub: Hub, tmp_path: Path) -> None:
    half, go = threading.Event(), threading.Event()
    total = sum(path.stat().st_size for path in hub.files())

    def gate(sent: int, _file: str) -> None:
        if sent > total / 2:
            half.set()
            go.wait(TIME_LIMIT_S)

    hub.gate = gate
    terminal = Terminal(command(hub, tmp_path / "models"), tmp_path)
    try:
        assert half.wait(TIME_LIMIT_S)
        terminal.process.send_signal(signal.SIGINT)
        shown = terminal.end()
    finally:
        go.set()
    assert terminal.process.returncode == 130
    assert not any("Traceback" in part for part in shown)
    assert shown[-1] == "sightline: Stopped. What has come is kept; the same command goes on."
    hub.gate = lambda _total, _file: None
    again = Terminal(command(hub, tmp_path / "models"), tmp_path)
    assert again.end()[-1].startswith("tiny--flash is ready")
    assert hub.n_bytes_sent < total * 1.2


def test_lines_without_a_terminal_and_json_for_programs(hub: Hub, tmp_path: Path) -> None:
    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(hub, tmp_path / "models", *options), cwd=ROOT, env=environment(tmp_path), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=TIME_LIMIT_S, check=True,
        )  # fmt: skip

    plain = run()
    lines = plain.stderr.splitlines()
    assert plain.stdout == f"tiny--flash is ready: {tmp_path}/models/tiny--flash\n"
    assert 2 <= len(lines) <= 12  # one for each 10 %, not one for each piece
    assert all(re.fullmatch(r" *\d+ %  .*", line) for line in lines)
    assert "\r" not in plain.stderr
    assert lines[-1].startswith("100 %")
    programs = run("--bits", "8", "--json")
    events = [json.loads(line) for line in programs.stdout.splitlines()]
    assert programs.stderr == ""
    assert {event["event"] for event in events} == {"progress", "done"}
    assert [event["percent"] for event in events[:-1]] == sorted(event["percent"] for event in events[:-1])
    assert {event["phase"] for event in events[:-1]} == {"looking", "fetching", "converting", "done"}
    assert events[-1]["event"] == "done"
    assert events[-1]["name"] == "tiny--flash-int8"
