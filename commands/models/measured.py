"""What was measured on this machine, kept from one command to the next: `bench machine`, `bench latency`.

One JSON file in the user's cache folder. What another machine wrote (a home folder may be shared) counts as absent.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

if TYPE_CHECKING:
    from model.bench.machine import Machine as Speed

FORMAT = 1


@dataclass(frozen=True)
class FirstSound:
    """Half of `n_replies` of a model began so soon after the user's last sound."""

    seconds: float
    n_replies: int
    day: str


@dataclass(frozen=True)
class Measured:
    """All that is known. `speed`: what `bench machine` found, on `speed_day`; first sounds by the model's name."""

    speed: Speed | None = None
    speed_day: str = ""
    first_sounds: dict[str, FirstSound] = field(default_factory=dict)


def measured_path() -> Path:
    return Path(platformdirs.user_cache_dir("sightline", appauthor=False)) / "measured.json"


def read_measured() -> Measured:
    """What is kept; a file that cannot be understood is none."""
    from model.bench.machine import Machine as Speed

    content = _read()
    try:
        speed = Speed(**content["speed"]) if content.get("speed") else None
        sounds = {str(name): FirstSound(**item) for name, item in content.get("first_sounds", {}).items()}
        _check_numbers(speed, sounds)
        return Measured(speed, str(content.get("speed_day", "")), sounds)
    except (TypeError, ValueError, AttributeError):
        return Measured()


def keep_speed(speed: Speed) -> None:
    """For `models list`."""
    _keep(replace(read_measured(), speed=speed, speed_day=_today()))


def keep_first_sound(model: str, seconds: float, n_replies: int) -> None:
    """For `models list`."""
    known = read_measured()
    sounds = known.first_sounds | {model: FirstSound(seconds, n_replies, _today())}
    _keep(replace(known, first_sounds=sounds))


def _check_numbers(speed: Speed | None, sounds: dict[str, FirstSound]) -> None:
    rates = [] if speed is None else [
        speed.read_bytes_per_s, speed.int4_bytes_per_s, speed.int8_bytes_per_s, speed.many_rows_flops, speed.float_flops
    ]  # fmt: skip
    if not all(value > 0 for value in (*rates, *(sound.seconds for sound in sounds.values()))):
        raise ValueError("not positive")


def _this_machine() -> dict[str, Any]:
    return {"format": FORMAT, "machine": f"{platform.node()} {platform.machine()} {os.cpu_count()}"}


def _read() -> dict[str, Any]:
    try:
        content = json.loads(measured_path().read_text("utf-8"))
    except (OSError, ValueError):
        content = None
    mine = _this_machine()
    same = isinstance(content, dict) and all(content.get(key) == value for key, value in mine.items())
    return content if same else {}


def _keep(measured: Measured) -> None:
    """A folder that cannot be written to costs the advice, not the figures that were asked for."""
    path = measured_path()
    partial = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(_this_machine() | asdict(measured), indent=1) + "\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        sys.stderr.write(f"These figures could not be kept for “models list”: {error}\n")


def _today() -> str:
    return date.today().isoformat()
