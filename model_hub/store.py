"""The models on this disk: one folder each, which is there only when it is whole.

What is being got lies in `.getting/NAME` and moves to `NAME` in one step at the end. `sightline-model.json` in the
folder says where it came from.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from model_hub.errors import BusyError, DiskFullError, FolderError, NotFoundError
from model_hub.files import Digest, RemoteFile

RECORD_FILE = "sightline-model.json"
PLAN_FILE = "plan.json"
GETTING = ".getting"
FORMAT = 1
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NAME = re.compile(r"\w[\w.+-]*", re.ASCII)


def default_root() -> Path:
    """Where this user's models lie (not created)."""
    return Path(platformdirs.user_data_dir("sightline", appauthor=False)) / "models"


@dataclass(frozen=True)
class Record:
    """Where a model came from. `bits` None: as published."""

    name: str
    address: str
    revision: str
    bits: int | None
    n_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a download has to fetch; written before the first byte, read by the run that goes on."""

    address: str
    revision: str
    bits: int | None
    files: tuple[RemoteFile, ...]

    @property
    def n_bytes(self) -> int:
        return sum(file.n_bytes for file in self.files)


@dataclass(frozen=True)
class Unfinished:
    """A download that has begun and not ended."""

    name: str
    plan: Plan
    n_bytes_there: int


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """What the system says of the disk becomes a sentence: DiskFullError or FolderError."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise DiskFullError(
                f"The disk of {folder} is full.",
                "What has come is kept: free some room and get the model again, it goes on from there.",
            ) from error
        at = f" ({error.filename})" if error.filename else ""
        raise FolderError(
            f"{folder} cannot be used: {error.strerror or error}{at}.",
            "Give a folder that you may write to with --folder.",
        ) from error


class ModelStore:
    """The models folder. Several processes may use it; getting one model is one process's work at a time."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else default_root()

    def path(self, name: str) -> Path:
        """Where a finished model lies."""
        return self.root / name

    def getting(self, name: str) -> Path:
        """Where its pieces lie until then."""
        return self.root / GETTING / name

    def models(self) -> tuple[Record, ...]:
        """The finished ones by name; folders without a readable record are not ours."""
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else []
        records = (self.record(folder.name) for folder in folders if not folder.name.startswith("."))
        return tuple(record for record in records if record is not None)

    def record(self, name: str) -> Record | None:
        data = _read(self.path(name) / RECORD_FILE)
        if not {"address", "revision", "bits", "n_bytes"} <= data.keys():
            return None
        return Record(name, str(data["address"]), str(data["revision"]), data["bits"], int(data["n_bytes"]))

    def unfinished(self) -> tuple[Unfinished, ...]:
        """What can be continued."""
        folder = self.root / GETTING
        found = []
        for place in sorted(folder.iterdir()) if folder.is_dir() else []:
            plan = self.plan(place.name)
            if plan is not None:
                found.append(Unfinished(place.name, plan, _n_bytes(place)))
        return tuple(found)

    def plan(self, name: str) -> Plan | None:
        """The plan of an unfinished download; an unreadable one is none."""
        data = _read(self.getting(name) / PLAN_FILE)
        try:
            if data["format"] != FORMAT:
                return None
            files = tuple(
                RemoteFile(
                    str(entry["name"]), int(entry["n_bytes"]), Digest(**entry["digest"]) if entry["digest"] else None
                )
                for entry in data["files"]
            )
            return Plan(str(data["address"]), str(data["revision"]), data["bits"], files)
        except (KeyError, TypeError, ValueError):
            return None

    def write_plan(self, name: str, plan: Plan) -> None:
        folder = self.getting(name)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / PLAN_FILE, {"format": FORMAT} | asdict(plan))

    def finish(self, name: str, folder: Path, plan: Plan) -> Path:
        """Moves a complete folder to its place, in one step; returns it."""
        record = {"address": plan.address, "revision": plan.revision, "bits": plan.bits, "n_bytes": _n_bytes(folder)}
        _write(folder / RECORD_FILE, record)
        target = self.path(name)
        if target.exists():  # an older revision, or a folder that is not ours: it goes only now
            old = self.getting(name) / "replaced"
            target.rename(old)
        folder.rename(target)
        shutil.rmtree(self.getting(name), ignore_errors=True)
        return target

    def remove(self, name: str) -> int:
        """Deletes a model and what was begun of it; returns the bytes that are free now.

        Raises NotFoundError, BusyError, FolderError.
        """
        with writing(self.root):
            places = [place for place in (self.path(name), self.getting(name)) if place.is_dir()]
        if not name or Path(name).name != name or name.startswith(".") or not places:
            raise NotFoundError(f"There is no model {name!r} here.", "See “models list”.")
        with self.lock(name), writing(self.root):
            n_bytes = sum(_n_bytes(place) for place in places)
            # Out of sight first: a deletion that is killed leaves nothing that looks like a model.
            waste = self.root / GETTING / f".deleted-{name}-{os.getpid()}"
            waste.mkdir(parents=True, exist_ok=True)
            for place in places:
                place.rename(waste / f"{place.parent.name}-{place.name}")
            shutil.rmtree(waste, ignore_errors=True)
        return n_bytes

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """One process at a time gets or removes a model. A killed one leaves no lock behind.

        Raises BusyError, NotFoundError for what cannot be a folder's name, FolderError, DiskFullError.
        """
        if _NAME.fullmatch(name) is None:
            raise NotFoundError(
                f"{name!r} cannot be the name of a model.", "Use letters, digits, dots and dashes, a letter first."
            )
        folder = self.root / GETTING
        lock = FileLock(folder / f".{name}.lock")
        with writing(self.root):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise BusyError(f"{name} is being got by another process.", "Wait for it, or end it.") from error
        try:
            for left in folder.glob(".deleted-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            lock.release()


def check_room(folder: Path, need_bytes: int, what: str) -> None:
    """Raises DiskFullError with both numbers when `folder`'s disk has not `need_bytes` free."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if free < need_bytes:
        raise DiskFullError(
            f"{what} needs {need_bytes / 1e9:.1f} GB more on the disk of {folder}, {free / 1e9:.1f} GB are free.",
            "Free some room, or choose another folder with --folder.",
        )


def _n_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
