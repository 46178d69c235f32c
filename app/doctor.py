"""`main.py doctor`: what is there, what is missing, and what to do about it.

Every check is a callable that main.py puts in, so that this module knows no device. Checks run side by side in threads;
one that hangs is reported as such, one that raises becomes a finding.
"""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "warning", "missing"]
MARKS: dict[Status, str] = {"ok": "ok     ", "warning": "warning", "missing": "missing"}
PROBE_TIMEOUT_S = 20.0
GIB = 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. "missing": something does not work; "warning": it works with limits."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Probe:
    """A named check. `run` may raise anything and may take its time."""

    name: str
    run: Callable[[], Finding]


def examine(probes: Sequence[Probe], timeout_s: float = PROBE_TIMEOUT_S) -> list[Finding]:
    """Runs all checks at the same time; findings come in the order of the checks, after `timeout_s` at the latest."""
    found: dict[int, Finding] = {}

    def look(number: int, probe: Probe) -> None:
        try:
            found[number] = probe.run()
        except Exception as error:  # noqa: BLE001  # whatever a check stumbles over is what the doctor is for
            found[number] = Finding(probe.name, "missing", f"The check failed: {type(error).__name__}: {error}")

    threads = [
        threading.Thread(target=look, args=(number, probe), name=f"doctor: {probe.name}", daemon=True)
        for number, probe in enumerate(probes)
    ]
    for thread in threads:
        thread.start()
    left = threading.Event()
    timer = threading.Timer(timeout_s, left.set)
    timer.daemon = True
    timer.start()
    for thread in threads:
        while thread.is_alive() and not left.is_set():
            thread.join(0.1)
    timer.cancel()
    hung = f"No answer within {timeout_s:.0f} s."
    return [
        found.get(
            number, Finding(probe.name, "missing", hung, "Unplug and re-plug the device, or restart the machine.")
        )
        for number, probe in enumerate(probes)
    ]


def as_text(findings: Sequence[Finding]) -> str:
    """For people: one line each, remedies below, and a sentence that sums up."""
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{MARKS[finding.status]}  {finding.name:<{width}}  {finding.detail}")
        if finding.remedy:
            lines.append(f"{'':7}  {'':<{width}}  -> {finding.remedy}")
    n_missing = sum(finding.status == "missing" for finding in findings)
    n_limits = sum(finding.status == "warning" for finding in findings)
    if n_missing:
        lines.append(
            f"\n{n_missing} missing. Sightline goes on with what is there; the lines above say how to get the rest."
        )
    else:
        lines.append("\nAll that is needed is there." + (" Mind the warnings." if n_limits else ""))
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> str:
    """For programs: {"ok": bool, "findings": [...]}."""
    ok = all(finding.status != "missing" for finding in findings)
    return json.dumps({"ok": ok, "findings": [asdict(finding) for finding in findings]}, indent=2, ensure_ascii=False)


def exit_status(findings: Sequence[Finding]) -> int:
    """1 when something is missing."""
    return int(any(finding.status == "missing" for finding in findings))


# --- checks -----------------------------------------------------------------------------------------------------------


def devices_probe(name: str, list_devices: Callable[[], Sequence[str]], remedy: str) -> Probe:
    """Lists devices of one kind. `list_devices` gives their names, or raises with a message for people."""

    def run() -> Finding:
        try:
            names = list_devices()
        except (OSError, RuntimeError, ImportError) as error:
            return Finding(name, "missing", str(error), remedy)
        if not names:
            return Finding(name, "missing", "none found", remedy)
        return Finding(name, "ok", ", ".join(names))

    return Probe(name, run)


def python_probe() -> Probe:
    def run() -> Finding:
        return Finding("Python", "ok", f"{platform.python_version()}, {platform.system()} {platform.machine()}")

    return Probe("Python", run)


def package_probe(distribution: str, purpose: str) -> Probe:
    """A Python package, by its metadata: importing it (torch!) would take seconds and memory."""

    def run() -> Finding:
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            remedy = "Run scripts/run (or: pip install .) again; it installs what is missing."
            return Finding(distribution, "missing", f"not installed; it is needed for {purpose}", remedy)
        return Finding(distribution, "ok", f"{version} ({purpose})")

    return Probe(distribution, run)


LINUX_LIBRARIES = (
    ("portaudio", "libportaudio2", "sound"),
    ("pulse", "libpulse0", "sound"),
    ("EGL", "libegl1", "the window"),
    ("GL", "libgl1", "the window"),
    ("fontconfig", "libfontconfig1", "the window"),
    ("dbus-1", "libdbus-1-3", "the window and screen readers"),
    ("xkbcommon-x11", "libxkbcommon-x11-0", "the window"),
    ("xcb-cursor", "libxcb-cursor0", "the window"),
    ("xcb-icccm", "libxcb-icccm4", "the window"),
    ("xcb-keysyms", "libxcb-keysyms1", "the window"),
    ("xcb-shape", "libxcb-shape0", "the window"),
)


def libraries_probe(find: Callable[[str], str | None] = ctypes.util.find_library) -> Probe:
    """System libraries that Python packages do not bring along (Linux only; the wheels bring them elsewhere)."""

    def run() -> Finding:
        if not sys.platform.startswith("linux"):
            return Finding("system packages", "ok", "none needed on this system")
        missing = [(package, purpose) for library, package, purpose in LINUX_LIBRARIES if find(library) is None]
        if not missing:
            return Finding("system packages", "ok", f"all {len(LINUX_LIBRARIES)} libraries are there")
        detail = ", ".join(f"{package} ({purpose})" for package, purpose in missing)
        remedy = "sudo apt-get install -y " + " ".join(package for package, _ in missing)
        return Finding("system packages", "missing", detail, remedy)

    return Probe("system packages", run)


def display_probe() -> Probe:
    def run() -> Finding:
        if not sys.platform.startswith("linux"):
            return Finding("display", "ok", "the system's own")
        for variable in ("WAYLAND_DISPLAY", "DISPLAY"):
            if os.environ.get(variable):
                return Finding("display", "ok", f"{variable}={os.environ[variable]}")
        remedy = "Log in to a desktop for the window, or use Sightline without one: main.py converse --help"
        return Finding("display", "warning", "none; there can be no window", remedy)

    return Probe("display", run)


def memory_bytes() -> tuple[int, int]:
    """(all, free now) of the machine's memory; (0, 0) where it cannot be found out."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = meminfo.read_text().splitlines()
        sizes = {key: int(rest.split()[0]) * 1024 for key, rest in (line.split(":") for line in lines)}
        return sizes["MemTotal"], sizes.get("MemAvailable", sizes["MemFree"])
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total, total
    return 0, 0


def gpus() -> list[tuple[str, int]]:
    """NVIDIA GPUs as (name, bytes of memory), from the driver's own tool; empty without one."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in answer.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name and mebibytes.strip().isdigit():
            found.append((name.strip(), int(mebibytes) * 1024**2))
    return found


def gpu_probe() -> Probe:
    def run() -> Finding:
        found = gpus()
        if found:
            return Finding("GPU", "ok", ", ".join(f"{name} ({size / GIB:.0f} GiB)" for name, size in found))
        if sys.platform == "darwin":
            return Finding("GPU", "ok", "Apple's own; the engine decides whether it uses it")
        remedy = "Small checkpoints run on the processor. Large ones need a GPU with its driver, or a remote engine."
        return Finding("GPU", "warning", "none that nvidia-smi knows of", remedy)

    return Probe("GPU", run)


def checkpoint_probe(folder: Callable[[], Path]) -> Probe:
    """The checkpoint's files, and whether its weights fit into the memory there is. Nothing is loaded."""

    def run() -> Finding:
        path = folder()
        remedy = f"Choose a folder with config.json and .safetensors files in the settings (now: {path})."
        if not (path / "config.json").is_file():
            return Finding("checkpoint", "missing", f"{path} has no config.json", remedy)
        try:
            config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            return Finding("checkpoint", "missing", f"{path / 'config.json'} is no valid JSON: {error}", remedy)
        weights = sorted(path.glob("*.safetensors"))
        if not weights:
            return Finding("checkpoint", "missing", f"{path} has no .safetensors file", remedy)
        indices = list(path.glob("*.safetensors.index.json"))
        named = {name for index in indices for name in json.loads(index.read_text("utf-8"))["weight_map"].values()}
        absent = sorted(named - {file.name for file in weights})
        if absent:
            return Finding("checkpoint", "missing", f"files are missing: {', '.join(absent)}", "Download them again.")
        size = sum(file.stat().st_size for file in weights)
        kind = config.get("model_type", "unknown kind") if isinstance(config, dict) else "unknown kind"
        detail = f"{path} ({kind}, {_size_text(size)})"
        total = max([memory_bytes()[0], *(gpu_size for _, gpu_size in gpus())])
        if total and size > total:
            remedy = "Choose 8 or 4 bit weights in the settings, a smaller checkpoint, or a remote engine."
            return Finding("checkpoint", "warning", f"{detail}: more than the {_size_text(total)} of memory", remedy)
        return Finding("checkpoint", "ok", detail)

    return Probe("checkpoint", run)


def memory_probe() -> Probe:
    def run() -> Finding:
        total, free = memory_bytes()
        if not total:
            return Finding("memory", "warning", "could not be found out")
        detail = f"{total / GIB:.1f} GiB, {free / GIB:.1f} GiB free"
        if free < GIB:
            return Finding("memory", "warning", detail, "Close other programs: less than 1 GiB is free.")
        return Finding("memory", "ok", detail)

    return Probe("memory", run)


def engine_probe(start_and_stop: Callable[[], str], remote_url: str = "") -> Probe:
    """Whether the engine answers. `start_and_stop` gives a sentence about it, or raises with a message for people."""

    def run() -> Finding:
        remedy = (
            "Check the address and the token in the settings." if remote_url else "See the message; then scripts/run."
        )
        try:
            return Finding("engine", "ok", start_and_stop())
        except (OSError, RuntimeError, ValueError, TimeoutError) as error:
            return Finding("engine", "missing", str(error) or type(error).__name__, remedy)

    return Probe("engine", run)


def common_probes() -> list[Probe]:
    """The checks that need nothing from outside."""
    return [
        python_probe(),
        libraries_probe(),
        package_probe("torch", "the engine"),
        package_probe("PySide6-Essentials", "the window"),
        package_probe("sounddevice", "sound"),
        package_probe("livekit", "echo cancellation"),
        package_probe("webrtcvad-wheels", "finding speech"),
        package_probe("onnxruntime", "finding speech"),
        package_probe("silero-vad", "finding speech"),
        package_probe("opencv-python-headless", "pictures"),
        display_probe(),
        memory_probe(),
        gpu_probe(),
    ]


def _size_text(n_bytes: int) -> str:
    return f"{n_bytes / GIB:.1f} GiB" if n_bytes >= GIB / 10 else f"{n_bytes / 1024**2:.0f} MiB"
