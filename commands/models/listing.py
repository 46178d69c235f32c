"""`models list`: the catalogue, this disk, and what this machine can expect."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from commands.errors import EXIT_OK
from model_hub.catalogue import Entry, load_catalogue
from model_hub.store import ModelStore, Record, Unfinished

GB = 1e9


def run(*, as_json: bool, root: Path | None) -> int:
    """Writes the list."""
    store = ModelStore(root)
    catalogue, models, unfinished = load_catalogue(), store.models(), store.unfinished()
    if as_json:
        content = {
            "catalogue": [vars(entry) for entry in catalogue],
            "here": [vars(record) | {"path": str(store.path(record.name))} for record in models],
            "unfinished": [
                {"name": item.name, "address": item.plan.address, "bits": item.plan.bits, "there": item.n_bytes_there}
                for item in unfinished
            ],
            "folder": str(store.root),
        }
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        sys.stdout.write("\n".join(_lines(store, catalogue, models, unfinished)) + "\n")
    return EXIT_OK


def _lines(
    store: ModelStore, catalogue: tuple[Entry, ...], models: tuple[Record, ...], unfinished: tuple[Unfinished, ...]
) -> list[str]:
    lines = ["What there is:"]
    for entry in catalogue:
        size = "comes with Sightline" if entry.shipped else f"{entry.n_bytes / GB:.0f} GB"
        voice = "speaks" if entry.speaks else "text only"
        lines.append(f"  {entry.name:<22}{size:>22}  {voice:<10}{entry.licence:<12}{entry.title}")
    lines.append(f"On this disk ({store.root}):" if models or unfinished else f"Nothing in {store.root} yet.")
    lines += [f"  {record.name:<48}{record.n_bytes / GB:>9.2f} GB  {record.address}" for record in models]
    lines += [
        f"  {item.name:<48}unfinished: {item.n_bytes_there / GB:.2f} GB; goes on with: models get {item.plan.address}"
        for item in unfinished
    ]
    return lines
