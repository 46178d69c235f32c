"""The models that people can choose from: facts of their publishers, in assets/models.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

CATALOGUE = Path(__file__).resolve().parents[1] / "assets" / "models.json"


@dataclass(frozen=True)
class Entry:
    """One model as it is published."""

    name: str
    title: str
    publisher: str
    licence: str
    huggingface: str
    """Repository, and the revision after an @ where one is pinned; "" where it is not there."""
    modelscope: str
    n_bytes: int
    """Of the weights as published."""
    exact_size: bool
    stored: str
    """How its weights are stored: "bfloat16", "int4 (compressed-tensors)"."""
    speaks: bool
    sees: bool
    languages_heard: tuple[str, ...]
    languages_spoken: tuple[str, ...]
    about: str
    shape: str
    """Which of the sizes known to the memory plan it has: "30b-a3b", or "" for none."""
    default_bits: int | None
    """What “get” converts it to."""
    shipped: bool = False


def load_catalogue(path: Path = CATALOGUE) -> tuple[Entry, ...]:
    """All entries, the default choice for a suitable machine first. Raises ValueError for a broken file."""
    content = json.loads(path.read_text("utf-8"))
    return tuple(_entry(item) for item in content["models"])


def _entry(item: dict[str, Any]) -> Entry:
    known = {field.name for field in fields(Entry)}
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in item.items() if key in known
    }
    try:
        return Entry(**values)
    except TypeError as error:
        raise ValueError(f"{CATALOGUE}: {item.get('name')!r}: {error}") from error


def find(catalogue: tuple[Entry, ...], name: str) -> Entry | None:
    """The entry of this name, or of this repository at Hugging Face or ModelScope."""
    wanted = name.strip().lower()
    names = ((entry, (entry.name, entry.huggingface.lower(), entry.modelscope.lower())) for entry in catalogue)
    return next((entry for entry, known in names if wanted and wanted in known), None)
