"""Phrasings live in TOML files beside this one, a line each."""

import random
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def load_phrasings(name: str) -> dict[str, Any]:
    """A file of phrasings beside this one; each list of lines becomes a tuple of its lines."""

    def lines(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: lines(inner) for key, inner in value.items()}
        return tuple(value.strip().split("\n")) if "\n" in value else value

    found: dict[str, Any] = lines(tomllib.loads(Path(__file__).with_name(name).read_text()))
    return found


def fill_slots(text: str, values: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Puts one of its values for each {name}, from left to right; values may have slots themselves."""
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        text = text[:start] + rng.choice(values[text[start + 1 : end]]) + text[end + 1 :]
    return text
