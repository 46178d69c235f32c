"""A whole model: planned, checked against the disk, fetched file by file, converted as it comes, then shown."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from model_hub.errors import UnsuitableError
from model_hub.files import INDEX_FILE, RemoteFile, choose_files
from model_hub.http import Web
from model_hub.index import indexed_files
from model_hub.open_source import open_source, settle
from model_hub.progress import Meter, Progress
from model_hub.sources import Address, Source, parse_address
from model_hub.store import ModelStore, Plan, check_room, writing
from model_hub.transfer import Watch, fetch

SPARE_BYTES = 64 * 2**20
"""Stays free beside what is planned."""
SOURCE_FOLDER = "source"
RESULT_FOLDER = "result"


class Converter(Protocol):
    """Turns source files into the stored form, one at a time; what it has finished survives being killed."""

    def begin(self, source: Path, result: Path) -> None:
        """The small files are in `source`. Raises GetError for a model that cannot be converted."""

    def result_bytes(self, weights: tuple[RemoteFile, ...]) -> int:
        """About what all results will take together."""

    def is_done(self, shard: str) -> bool:
        """Whether this shard's result is whole."""

    def convert(self, shard: Path) -> None:
        """Writes one shard's result."""

    def finish(self) -> None:
        """All shards are done: writes the small files of the result."""


class Inspector(Protocol):
    """Looks at the small files before the weights come."""

    def __call__(self, folder: Path) -> None:
        """Raises GetError when no model of ours can be made of what lies there."""


@dataclass
class Getter:
    """Gets models into a store. Owned by one thread."""

    store: ModelStore
    web: Web = field(default_factory=Web)
    tokens: Mapping[str, str] = field(default_factory=dict)
    report: Callable[[Progress], None] = lambda _progress: None
    wait: Callable[[float], None] = time.sleep
    inspect: Inspector | None = None

    def get(
        self, address: Address, *, bits: int | None = None, converter: Converter | None = None, name: str = ""
    ) -> Path:
        """The folder of the finished model; goes on where an earlier run ended. Raises GetError.

        `name`: of the model's folder. A model that is there in the revision that the source has now is not fetched
        again.
        """
        name = name or folder_name(address, bits)
        self.report(Progress("looking", "", 0, 0, 0, 0.0, None))
        with self.store.lock(name), writing(self.store.root):
            plan, source = self._plan(name, address, bits)
            if plan is None:
                return self.store.path(name)
            meter = Meter(plan.n_bytes, self.report)
            folder = self._fetch_all(name, plan, source, converter, meter)
            path = self.store.finish(name, folder, plan)
        meter.tell("done", "")
        return path

    def _plan(self, name: str, address: Address, bits: int | None) -> tuple[Plan | None, Source]:
        """The plan of the run that was cut off, else a new one; None when there is nothing to do."""
        begun = self.store.plan(name)
        if begun is not None and begun.bits == bits and _is_of(begun, address):
            return begun, open_source(parse_address(begun.address), self.web, self.tokens)
        address, source, listing = settle(address, self.web, self.tokens)
        plan = Plan(_settled(address), listing.revision, bits, choose_files(listing, source.label))
        there = self.store.record(name)
        if there is not None and (there.revision, there.bits) == (plan.revision, bits):
            return None, source
        if begun is not None:
            shutil.rmtree(self.store.getting(name))
        self.store.write_plan(name, plan)
        return plan, source

    def _fetch_all(self, name: str, plan: Plan, source: Source, converter: Converter | None, meter: Meter) -> Path:
        getting = self.store.getting(name)
        folder, result = getting / SOURCE_FOLDER, getting / RESULT_FOLDER
        folder.mkdir(exist_ok=True)
        watch = Watch(
            grew=lambda file, n_bytes: meter.add(file.name, n_bytes),
            note=lambda text: meter.tell(note=text),
            wait=self.wait,
        )
        small = tuple(file for file in plan.files if not file.is_weights)
        for file in small:
            meter.had(_there(folder, file))
            fetch(source, file, plan.revision, folder, watch)
        if self.inspect is not None:
            self.inspect(folder)
        weights = _listed(folder, tuple(file for file in plan.files if file.is_weights), source.label)
        if converter is not None:
            result.mkdir(exist_ok=True)
            converter.begin(folder, result)
        done = {file.name for file in weights if converter is not None and converter.is_done(file.name)}
        missing = [file for file in weights if file.name not in done]
        meter.total(sum(file.n_bytes for file in (*small, *weights)))
        meter.had(sum(file.n_bytes for file in weights if file.name in done))
        meter.had(sum(_there(folder, file) for file in missing))
        check_room(folder, self._need(folder, result, weights, missing, converter), source.label)
        for file in missing:
            path = fetch(source, file, plan.revision, folder, watch)
            if converter is not None:
                meter.tell("converting", file.name)
                converter.convert(path)
                path.unlink()
        for name_done in done:  # killed between the two steps above
            (folder / name_done).unlink(missing_ok=True)
        if converter is None:
            return folder
        meter.tell("converting", "")
        converter.finish()
        return result

    def _need(
        self,
        folder: Path,
        result: Path,
        weights: tuple[RemoteFile, ...],
        missing: list[RemoteFile],
        converter: Converter | None,
    ) -> int:
        """Bytes that the disk has to have free before the weights come."""
        if converter is None:
            return sum(file.n_bytes - _there(folder, file) for file in missing) + SPARE_BYTES
        made = sum(path.stat().st_size for path in result.iterdir())
        largest = max((file.n_bytes - _there(folder, file) for file in missing), default=0)
        return max(0, converter.result_bytes(weights) - made) + largest + SPARE_BYTES


def folder_name(address: Address, bits: int | None) -> str:
    """What a model's folder is called."""
    return address.folder_name + (f"-int{bits}" if bits else "")


def _settled(address: Address) -> str:
    """The address without the revision, which the plan has beside it."""
    return Address(address.service, address.place, address.repository).text


def _is_of(plan: Plan, address: Address) -> bool:
    """Whether a download that was begun is the one that is asked for now."""
    found = parse_address(plan.address)
    same = (found.place, found.repository) == (address.place, address.repository)
    return same and address.revision in ("", plan.revision)


def _there(folder: Path, file: RemoteFile) -> int:
    for name in (file.name, file.name + ".part"):
        path = folder / name
        if path.exists():
            return min(path.stat().st_size, file.n_bytes)
    return 0


def _listed(folder: Path, weights: tuple[RemoteFile, ...], label: str) -> tuple[RemoteFile, ...]:
    """The weights that the index names (a repository may hold them twice); all of them without an index."""
    index = folder / INDEX_FILE
    if not index.exists():
        return weights
    names = indexed_files(index)
    lost = sorted(names - {file.name for file in weights})
    if lost:
        raise UnsuitableError(f"{label} lacks {lost[0]}, which its {INDEX_FILE} names.", "Try another mirror.")
    return tuple(file for file in weights if file.name in names)
