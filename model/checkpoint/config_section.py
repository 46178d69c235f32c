"""One object of a config.json, read field by field; what is wrong is named with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.errors import ConfigError


class Section:
    """One JSON object of the config with typed access and error messages that name the field."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ConfigError(f"{where}: expected a JSON object, found {type(data).__name__}")
        self.data = data
        self.where = where

    def section(self, key: str) -> Section:
        if key not in self.data:
            raise ConfigError(f"{self.where}: {key!r} is missing; use the config.json published with the checkpoint")
        return Section(self.data[key], f"{self.where}.{key}")

    def optional(self, key: str) -> Section:
        """The section, or an empty one where the key is absent or null."""
        return Section({} if self.data.get(key) is None else self.data[key], f"{self.where}.{key}")

    def _value(self, key: str, default: Any, kinds: tuple[type, ...]) -> Any:
        value = self.data.get(key, default)
        if value is None:
            raise ConfigError(f"{self.where}: {key!r} is missing; use the config.json published with the checkpoint")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise ConfigError(f"{self.where}: {key!r} is {value!r}, expected {names}")
        return value

    def integer(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        value = int(self._value(key, default, (int,)))
        if value < least:
            raise ConfigError(f"{self.where}: {key!r} is {value}, expected at least {least}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        return float(self._value(key, default, (int, float)))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._value(key, default, (bool,)))

    def text(self, key: str, default: str) -> str:
        return str(self._value(key, default, (str,)))

    def integers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        value = self._value(key, default, (list, tuple))
        if not all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            raise ConfigError(f"{self.where}: {key!r} is {value!r}, expected a list of integers")
        return tuple(value)

    def expect(self, key: str, default: Any, allowed: tuple[Any, ...]) -> None:
        value = self.data.get(key, default)
        if value not in allowed:
            raise ConfigError(f"{self.where}: {key!r} is {value!r}; this runtime has only {allowed}")
