"""Checks that every dependency has wheels for Linux, macOS and Windows and for each Python that is promised.

    .venv/bin/python scripts/check_wheels.py [--extra dev]

Asks the package index only for lists of versions; downloads nothing. Exit 1 names what has no wheel. System markers are
honoured: a dependency of one system is asked for there alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
N_AT_ONCE = 4


@dataclass(frozen=True)
class System:
    """A system and the platform tags that its pip takes."""

    name: str
    sys_platform: str
    tags: tuple[str, ...]


SYSTEMS = (
    System(
        "Linux",
        "linux",
        (*(f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 24, 17, 12, 5)), "manylinux2014_x86_64"),
    ),
    System(
        "macOS", "darwin", tuple(f"macosx_{major}_0_{chip}" for major in (14, 11) for chip in ("arm64", "universal2"))
    ),
    System("Windows", "win32", ("win_amd64",)),
)


def requirements(extra: str | None) -> list[Requirement]:
    """What pyproject.toml asks for, with an extra's list if one is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else ())]
    return [Requirement(line) for line in lines]


def has_wheel(requirement: Requirement, system: System, python: str) -> bool:
    """Whether the index has a wheel of an allowed version for this system and Python."""
    command = [sys.executable, "-m", "pip", "index", "versions", requirement.name, "--only-binary", ":all:"]
    command += ["--python-version", python, "--disable-pip-version-check"]
    for tag in system.tags:
        command += ["--platform", tag]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    versions = re.search(r"^Available versions: (.*)$", listed, re.MULTILINE)
    return versions is not None and any(requirement.specifier.contains(v) for v in versions.group(1).split(", "))


def main() -> int:
    """Prints what is missing; returns the exit status."""
    parser = argparse.ArgumentParser(description="Wheels of every dependency for three systems.")
    parser.add_argument("--extra", help="also the packages of this optional list")
    extra = parser.parse_args().extra
    asked = [
        (requirement, system, python)
        for requirement in requirements(extra)
        for system in SYSTEMS
        for python in PYTHONS
        if requirement.marker is None
        or requirement.marker.evaluate({"sys_platform": system.sys_platform, "python_version": python})
    ]
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        found = list(pool.map(lambda item: has_wheel(*item), asked))
    missing = [item for item, is_there in zip(asked, found, strict=True) if not is_there]
    for requirement, system, python in missing:
        sys.stdout.write(f"no wheel: {requirement} on {system.name} with Python {python}\n")
    sys.stdout.write(f"{len(asked) - len(missing)} of {len(asked)} have a wheel\n")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
