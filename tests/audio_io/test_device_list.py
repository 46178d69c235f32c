"""The child process that lists the sound devices."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIST_UNDER_CTRL_C = """
import os, signal, threading
from audio_io.devices import FreshDevices
from audio_io.errors import SoundError
signal.signal(signal.SIGINT, lambda *_: None)
fresh, said = FreshDevices(), []

def read():
    try:
        fresh.read("portaudio")
    except SoundError as error:
        said.append(error.message)

thread = threading.Thread(target=read)
thread.start()
while fresh._child is None and thread.is_alive():
    thread.join(0.001)
os.killpg(0, signal.SIGINT)
thread.join()
print(said)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of a terminal are POSIX's")
def test_ctrl_c_in_the_terminal_does_not_end_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_UNDER_CTRL_C],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        start_new_session=True,
    )
    assert done.stdout == "[]\n"
