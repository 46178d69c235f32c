"""`models list`: the catalogue, this disk, and what this machine can expect."""

from __future__ import annotations

import json
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from commands.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from commands.models.advice import Advice, Machine, advise, default_choice, this_machine
from model_hub.catalogue import Entry, load_catalogue
from model_hub.store import ModelStore, Record, Unfinished

GB = 1e9


def run(*, as_json: bool, root: Path | None) -> int:
    """Writes the list."""
    store = ModelStore(root)
    if store.root.exists() and not store.root.is_dir():
        raise CommandError(EXIT_USAGE, f"{store.root} is a file.", "Give the folder where models lie.")
    try:
        content = look(store)
        lines = [] if as_json else _lines(store)
    except OSError as error:
        raise CommandError(
            EXIT_FAILED, f"{error.filename} cannot be read ({error.strerror}).", "Look at who may read it."
        ) from error
    if as_json:
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")
    return EXIT_OK


def look(store: ModelStore) -> dict[str, Any]:
    """Everything, for programs."""
    machine = this_machine(store)
    catalogue = load_catalogue()
    advice = tuple(advise(entry, machine, store) for entry in catalogue)
    return {
        "machine": asdict(machine),
        "default": default_choice(advice),
        "catalogue": [
            vars(entry) | {"advice": asdict(item) | {"speed": item.expects.words(speaks=entry.speaks)}}
            for entry, item in zip(catalogue, advice, strict=True)
        ],
        "here": [asdict(record) | {"path": str(store.path(record.name))} for record in store.models()],
        "unfinished": [_unfinished(item) for item in store.unfinished()],
        "folder": str(store.root),
    }


def _unfinished(item: Unfinished) -> dict[str, Any]:
    plan = item.plan
    return {"name": item.name, "address": plan.address, "bits": plan.bits, "there": item.n_bytes_there}


def _lines(store: ModelStore) -> list[str]:
    machine, catalogue = this_machine(store), load_catalogue()
    advice = tuple(advise(entry, machine, store) for entry in catalogue)
    chosen = default_choice(advice)
    lines = [_about(machine), ""]
    for entry, item in zip(catalogue, advice, strict=True):
        lines += [*_of_model(entry, item, is_default=entry.name == chosen), ""]
    if machine.measured.speed is None and not machine.is_card:
        lines += ["“main.py bench machine” times this processor for 20 s; what is expected is closer then.", ""]
    models, unfinished = store.models(), store.unfinished()
    lines.append(f"On this disk ({store.root}):" if models or unfinished else f"Nothing in {store.root} yet.")
    lines += [_of_record(record) for record in models]
    for begun in unfinished:
        there = f"{begun.n_bytes_there / GB:.2f} GB are there"
        bits = f" --bits {begun.plan.bits}" if begun.plan.bits else ""
        lines.append(f"  {begun.name}: unfinished, {there}; goes on with: models get {begun.plan.address}{bits}")
    return lines


def _about(machine: Machine) -> str:
    return (
        f"This machine: {machine.device}; free: {machine.free_bytes / GB:.1f} of {machine.memory_bytes / GB:.1f} GB of "
        f"memory, {machine.disk_bytes / GB:.0f} GB of disk; memory is read at {machine.read_bytes_per_s / GB:.0f} GB/s "
        "(measured now)."
    )


def _of_model(entry: Entry, advice: Advice, *, is_default: bool) -> list[str]:
    """Some lines about one model."""
    size = (
        "comes with Sightline"
        if entry.shipped
        else f"{'' if entry.exact_size else 'about '}{entry.n_bytes / GB:.0f} GB"
    )
    bits = f", stored in {entry.default_bits} bits ({advice.disk_bytes / GB:.0f} GB)" if entry.default_bits else ""
    voice = f"Speaks {_some(entry.languages_spoken)}" if entry.speaks else "Answers in text only"
    words = [
        f"{entry.about} By {entry.publisher}, {entry.licence}; {size}{bits}.",
        f"{voice}; hears {_some(entry.languages_heard)}.",
        f"{advice.verdict.capitalize()}. {advice.why}",
        *(f"Setting: {line}." for line in advice.settings),
    ]
    if advice.verdict != "does not fit" and (speed := advice.expects.words(speaks=entry.speaks)):
        words.append(speed)
    mark = " (the choice for this machine)" if is_default else ""
    lines = [f"{entry.name}: {entry.title}{mark}"]
    for word in words:
        lines += textwrap.wrap(word, 110, initial_indent="  ", subsequent_indent="  ")
    return lines


def _of_record(record: Record) -> str:
    stored = f"int{record.bits}" if record.bits else "as published"
    return f"  {record.name}: {record.n_bytes / GB:.2f} GB, {stored}, from {record.address}"


def _some(names: tuple[str, ...], shown: int = 4) -> str:
    if len(names) <= shown:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more languages"
