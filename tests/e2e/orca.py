"""The real Orca, and what it says: its speech goes through the real speech-dispatcher into a file, not to a voice."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.sound_server import wait_until

ORCA = os.environ.get("SIGHTLINE_ORCA", "orca")
"""Which Orca is run; `scripts/other-orca` brings that of another Debian."""
MODULES = ("/usr/lib/speech-dispatcher-modules", "/usr/lib/x86_64-linux-gnu/speech-dispatcher-modules")
READY_S = 60.0
QUIET_S = 1.5
"""Nothing more is said once nothing was said for so long."""

DISPATCHER = """
LogLevel 3
LogDir "{folder}"
DefaultRate 0
AudioOutputMethod "pulse"
AddModule "record" "sd_generic" "record.conf"
DefaultModule record
LanguageDefaultModule "en" "record"
DisableAutoSpawn
"""
RECORD = """
GenericExecuteSynth "printf '%s\\\\n' \\'$DATA\\' >> {said}"
GenericCmdDependency "printf"
AddVoice "en" "MALE1" "en"
DefaultVoice "en"
GenericLanguage "en" "en" "utf-8"
GenericRateAdd 0
GenericRateMultiply 1
GenericPitchAdd 0
GenericPitchMultiply 1
"""


def missing() -> str:
    """Why Orca cannot be run here; empty when it can."""
    for tool in (ORCA, "speech-dispatcher"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return "" if _module() else "speech-dispatcher's generic module is not installed"


def _module() -> str:
    found = [folder for folder in MODULES if (Path(folder) / "sd_generic").exists()]
    return found[0] if found else ""


class Orca:
    """Running. `said` is every utterance since the start, as it was given to the voice."""

    def __init__(self, said: Path, log: Path, version: str) -> None:
        self._said = said
        self.log = log
        self.version = version

    @property
    def said(self) -> list[str]:
        if not self._said.exists():
            return []
        return [line.strip() for line in self._said.read_text(errors="replace").splitlines() if line.strip()]

    def wait_for(self, condition: Callable[[list[str]], bool], what: str, limit_s: float = 60.0) -> None:
        wait_until(lambda: condition(self.said), what, limit_s)

    def since(self, n_before: int, limit_s: float = 20.0) -> list[str]:
        """What was said after the first `n_before`, once it has been quiet for a while."""
        until_s = time.monotonic() + limit_s
        last, changed_s = -1, time.monotonic()

        def quiet() -> bool:
            nonlocal last, changed_s
            now_s = time.monotonic()
            if (n_said := len(self.said)) != last:
                last, changed_s = n_said, now_s
            return now_s - changed_s > QUIET_S or now_s > until_s

        wait_until(quiet, "Orca is quiet", limit_s + 5)
        return self.said[n_before:]


@contextlib.contextmanager
def orca(environment: Mapping[str, str], home: Path) -> Iterator[Orca]:
    """Starts speech-dispatcher and Orca in the user's session, and ends both."""
    folder = home / "speech"
    (folder / "modules").mkdir(parents=True)
    said, socket_path, log = folder / "said.txt", folder / "speechd.sock", folder / "orca.log"
    (folder / "speechd.conf").write_text(DISPATCHER.format(folder=folder))
    (folder / "modules" / "record.conf").write_text(RECORD.format(said=said))
    mine = dict(environment) | {
        "SPEECHD_ADDRESS": f"unix_socket:{socket_path}",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "NO_AT_BRIDGE": "1",
        "GSETTINGS_BACKEND": "memory",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        mine.pop(name, None)
    dispatcher = subprocess.Popen(
        [
            *("speech-dispatcher", "-s", "-t", "0", "-C", str(folder), "-P", str(folder / "pid"), "-m", _module()),
            *("-c", "unix_socket", "-S", str(socket_path)),
        ],
        env=mine,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    process: subprocess.Popen[bytes] | None = None
    try:
        wait_until(socket_path.exists, "speech-dispatcher is up", 20)
        version = subprocess.run([ORCA, "--version"], env=mine, capture_output=True, text=True, timeout=60).stdout
        with (folder / "orca.out").open("wb") as output:
            process = subprocess.Popen(
                [ORCA, "-d", "braille", "-d", "braille-monitor", "--debug-file", str(log)],
                env=mine,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        reader = Orca(said, log, version.strip())
        wait_until(lambda: bool(reader.said), "Orca has said that it is on", READY_S)
        yield reader
    finally:
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        dispatcher.terminate()
        dispatcher.wait(10)
