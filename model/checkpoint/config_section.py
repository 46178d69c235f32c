"""One object of a JSON file, read field by field; what is wrong is named with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from model.errors import ConfigError

MOST = 2**31 - 1
"""Of a number that has no limit of its own: larger ones are no dimension, count or id of anything."""


class Section:
    """One JSON object with typed access and error messages that name the field.

    A field that is null is missing, unless it has a default that is asked for by `or_default`.
    """

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{where}: expected a JSON object, found {_shown(data)}")
        self.data = data
        self.where = where

    def section(self, key: str) -> Section:
        if self.data.get(key) is None:
            raise ConfigError(f"{self.where}: {key!r} is missing; use the config.json published with the checkpoint")
        return Section(self.data[key], f"{self.where}.{key}")

    def optional(self, key: str) -> Section:
        """The section, or an empty one where the key is absent or null."""
        return Section({} if self.data.get(key) is None else self.data[key], f"{self.where}.{key}")

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.data.get(key) is not None

    def without_nulls(self) -> Section:
        """The same with every null field left out, for files in which null means "not set"."""
        return Section({key: value for key, value in self.data.items() if value is not None}, self.where)

    def _value(self, key: str, default: Any, kinds: tuple[type, ...]) -> Any:
        value = self.data.get(key, default)
        if value is None:
            raise ConfigError(f"{self.where}: {key!r} is missing; use the config.json published with the checkpoint")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{self.where}: {key!r} is {_shown(value)}, expected {names}")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0, most: int = MOST) -> int:
        value = int(self._value(key, default, (int,)))
        if not least <= value <= most:
            expected = f"at least {least}" if value < least else f"at most {most}"
            raise ConfigError(f"{self.where}: {key!r} is {_shown(value)}, expected {expected}")
        return value

    def number(
        self, key: str, default: float | None = None, *, least: float = -math.inf, most: float = math.inf
    ) -> float:
        value = self._value(key, default, (int, float))
        if isinstance(value, int) and abs(value) > 10**300:
            value = math.inf
        if not math.isfinite(value) or not least <= value <= most:
            raise ConfigError(f"{self.where}: {key!r} is {_shown(value)}, expected a number from {least} to {most}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._value(key, default, (bool,)))

    def text(self, key: str, default: str | None = None) -> str:
        return str(self._value(key, default, (str,)))

    def integers(
        self, key: str, default: tuple[int, ...], *, least: int = 0, most: int = MOST, longest: int = 4096
    ) -> tuple[int, ...]:
        value = self._value(key, default, (list, tuple))
        fits = all(isinstance(item, int) and not isinstance(item, bool) and least <= item <= most for item in value)
        if not fits or len(value) > longest:
            raise ConfigError(
                f"{self.where}: {key!r} is {_shown(value)}, expected up to {longest} integers from {least} to {most}"
            )
        return tuple(value)

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        """Exactly `count` finite numbers."""
        value = self._value(key, None, (list, tuple))
        items = Section(dict(enumerate(value)), f"{self.where}: {key}")
        if len(value) != count:
            raise ConfigError(f"{self.where}: {key!r} is {_shown(value)}, expected {count} numbers")
        return tuple(items.number(place) for place in range(count))  # type: ignore[arg-type]  # places are its keys

    def expect(self, key: str, default: Any, allowed: tuple[Any, ...]) -> None:
        value = self.data.get(key, default)
        if not any(value == item and type(value) is type(item) for item in allowed):
            raise ConfigError(f"{self.where}: {key!r} is {_shown(value)}; this runtime has only {allowed}")


def _shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python writes
        text = "a number with thousands of digits"
    return text if len(text) <= 80 else f"{text[:77]}..."
