"""Where a checkpoint says how it was quantised, and what it says of single modules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.config_section import Section
from model.checkpoint.json_file import read_section
from model.errors import ConfigError
from model.quant.packing import QuantSpec

BESIDE = ("quantize_config.json", "quantization_config.json")
KEY = "quantization_config"
FULL_BITS = 16


def quantization_section(config: Mapping[str, Any], directory: Path | None = None) -> Section | None:
    """The section in config.json (at the top, of the Thinker or its text), or in a file beside it.

    Raises ConfigError.
    """
    root = Section(config, "config.json")
    thinker = root.optional("thinker_config")
    for place in (root, thinker, thinker.optional("text_config"), root.optional("text_config")):
        if place.has(KEY):
            return place.section(KEY).without_nulls()
    for name in BESIDE:
        if directory is not None and (directory / name).is_file():
            section = read_section(directory / name).without_nulls()
            # AutoGPTQ's own file names no method: it knows one only.
            return Section({"quant_method": "gptq"} | dict(section.data), section.where)
    return None


def method_of(section: Section) -> str:
    """ "gptq", "auto-round" or "compressed-tensors", however it is spelt; others as they are."""
    name = section.text("quant_method", "").lower().replace("_", "-")
    return "auto-round" if name in ("autoround", "intel/auto-round") else name


@dataclass(frozen=True)
class Override:
    """What holds for the modules of one pattern. `spec` None: they are not quantised."""

    pattern: str
    is_exact: bool
    spec: QuantSpec | None

    def names(self, module: str) -> bool:
        return module == self.pattern if self.is_exact else re.match(self.pattern, module) is not None


def overrides_of(section: Section, base: QuantSpec) -> tuple[Override, ...]:
    """AutoRound's `extra_config` and GPTQModel's `dynamic`: exact names first, then patterns in their order."""
    extra, dynamic = section.optional("extra_config"), section.optional("dynamic")
    exact, patterns = [], []
    for name in extra.data:
        spec = _changed(extra.section(name).without_nulls(), base)
        if _is_pattern(name):
            patterns.append(Override(checked_pattern(f"(?:{name})$", extra), False, spec))
        else:
            exact.append(Override(name, True, spec))
    for name in dynamic.data:
        if name.startswith("-:"):
            patterns.append(Override(checked_pattern(name[2:], dynamic), False, None))
        else:
            pattern = checked_pattern(name.removeprefix("+:"), dynamic)
            patterns.append(Override(pattern, False, _changed(dynamic.optional(name).without_nulls(), base)))
    return (*exact, *patterns)


def make_spec(section: Section, bits: int, group: int, symmetric: bool) -> QuantSpec:
    """Raises ConfigError for a storage that there is not."""
    try:
        return QuantSpec(bits, group, symmetric)
    except ValueError as error:
        raise ConfigError(f"{section.where}: {error}") from error


def read_group(section: Section, default: int) -> int:
    """Inputs that share a scale; -1, a whole row, is 0 here."""
    return max(section.integer("group_size", default, least=-1), 0)


def _changed(section: Section, base: QuantSpec) -> QuantSpec | None:
    bits = section.integer("bits", base.bits, least=1)
    if bits >= FULL_BITS:
        return None
    return make_spec(section, bits, read_group(section, base.group or -1), base.symmetric)


def _is_pattern(name: str) -> bool:
    return any(letter in name for letter in "*+?[(|^$\\")


def checked_pattern(pattern: str, section: Section) -> str:
    """The pattern itself. Raises ConfigError for one that is none."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{section.where}: {pattern[:80]!r} is no pattern ({error})") from error
    return pattern
