"""Published int4/int8 checkpoints: which tensors stand for a weight, and how they become a ``PackedWeight``.

Two families exist for this model. compressed-tensors ``pack-quantized`` (AWQ checkpoints of vLLM's llm-compressor;
also what ``models quantize`` writes) is our own layout. GPTQ packing (AutoRound, GPTQ) holds the transposed matrix,
so reading it is a transpose of words; its first version stores zero points less one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from model.checkpoint.config_section import Section
from model.errors import CheckpointError, ConfigError
from model.quant.packing import PackedWeight, QuantSpec, pack_levels, unpack_levels
from model.quant.sections import (
    Override,
    checked_pattern,
    make_spec,
    method_of,
    overrides_of,
    quantization_section,
    read_group,
)

PACK_QUANTIZED, MIXED = "pack-quantized", "mixed-precision"
Shape = tuple[int, ...]
GetTensor = Callable[[str], Tensor]


class StoredFormat(Protocol):
    """How a checkpoint stores the weights that it quantised; the other weights are stored as they are."""

    def tensors_of(self, weight: str, shape: Shape, present: Container[str]) -> dict[str, Shape] | None:
        """Names and shapes of what stands for ``weight``; None when ``present`` holds it unquantised."""

    def spec_of(self, weight: str) -> QuantSpec:
        """The storage of a quantised weight."""

    def read(self, weight: str, shape: Shape, get: GetTensor) -> PackedWeight:
        """The packed weight, from tensors that have passed ``tensors_of``."""

    def order_name(self, weight: str) -> str:
        """The tensor that holds each input's group, where one is stored."""

    def check_order(self, weight: str, group_index: Tensor) -> None:
        """Raise CheckpointError when a stored order is not the plain one; the loader calls it where one is stored."""


def stored_format(config: Mapping[str, Any], directory: Path | None = None) -> StoredFormat | None:
    """The format that the checkpoint's quantization section names, or None. Raises ConfigError for one we cannot
    read. ``directory``: where files beside config.json may say it.
    """
    section = quantization_section(config, directory)
    if section is None:
        return None
    method = method_of(section)
    if method == "compressed-tensors":
        return PackQuantized.from_config(section)
    if method in ("gptq", "auto-round"):
        return GptqPacked.from_config(section)
    raise ConfigError(
        f"{section.where}: quant_method is {method[:80]!r}; this runtime reads 'compressed-tensors' (pack-quantized), "
        "'gptq' and 'auto-round'. Use the unquantised checkpoint, or one of those"
    )


def module_name(weight: str) -> str:
    return weight.removesuffix(".weight")


@dataclass(frozen=True)
class PackQuantized:
    """compressed-tensors ``pack-quantized``: weight_packed, weight_scale, weight_shape, and weight_zero_point if
    asymmetric.

    ``exact``: storage by module name. ``groups``: by pattern, first match first; a pattern of None matches every module
    that no name and no other pattern matches (published checkpoints name layer classes, which say nothing more once a
    quantised tensor is found).
    """

    groups: tuple[tuple[str | None, QuantSpec], ...]
    exact: tuple[tuple[str, QuantSpec], ...] = ()

    @classmethod
    def from_config(cls, section: Section) -> PackQuantized:
        groups: list[tuple[str | None, QuantSpec]] = []
        exact: list[tuple[str, QuantSpec]] = []
        overall = section.text("format", "")
        named = section.section("config_groups")
        for name in named.data:
            group = named.section(name).without_nulls()
            form = group.text("format", PACK_QUANTIZED if overall == MIXED else overall)
            if form != PACK_QUANTIZED:
                raise ConfigError(
                    f"{group.where}: the compressed-tensors format is {form[:80]!r}; this runtime reads "
                    f"{PACK_QUANTIZED!r}. Use another quantised checkpoint, or the unquantised one"
                )
            spec = cls._group_spec(group.section("weights").without_nulls())
            targets = group.data.get("targets", ["Linear"])
            if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
                raise ConfigError(f"{group.where}: 'targets' is {str(targets)[:80]!r}, expected a list of names")
            for target in targets:
                if target.startswith("re:"):
                    groups.append((checked_pattern(target[3:], group), spec))
                elif "." in target or target == "lm_head":
                    exact.append((target, spec))
                else:  # a class of layers
                    groups.append((None, spec))
        if not groups and not exact:
            raise ConfigError(f"{section.where}: 'config_groups' names no module; use the published config.json")
        return cls(tuple(groups), tuple(exact))

    @staticmethod
    def _group_spec(weights: Section) -> QuantSpec:
        strategy = weights.text("strategy", "group")
        if weights.text("type", "int") != "int" or strategy not in ("group", "channel"):
            raise ConfigError(
                f"{weights.where}: quantised weights are {str(dict(weights.data))[:200]}; expected type 'int' by "
                "'group' or 'channel'. Use another quantised checkpoint, or the unquantised one"
            )
        size = weights.integer("group_size") if strategy == "group" else 0
        return make_spec(weights, weights.integer("num_bits"), size, weights.flag("symmetric", True))

    def to_config(self) -> dict[str, Any]:
        """The ``quantization_config`` section that describes this storage to us and to other tools."""
        groups = {}
        for number, (pattern, spec) in enumerate(self.groups):
            weights = {
                "num_bits": spec.bits,
                "type": "int",
                "symmetric": spec.symmetric,
                "strategy": "group" if spec.group else "channel",
                "group_size": spec.group or None,
                "dynamic": False,
            }
            target = "Linear" if pattern is None else f"re:{pattern}"
            groups[f"group_{number}"] = {"targets": [target], "weights": weights}
        return {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "quantization_status": "compressed",
            "config_groups": groups,
            "ignore": [],
        }

    def spec_of(self, weight: str) -> QuantSpec:
        """The storage of a quantised weight. Raises ConfigError when no group names it."""
        module = module_name(weight)
        for name, spec in self.exact:
            if module == name or module.endswith(f".{name}"):
                return spec
        for pattern, spec in self.groups:
            if pattern is not None and re.match(pattern, module):
                return spec
        for pattern, spec in self.groups:
            if pattern is None:
                return spec
        raise ConfigError(f"config.json: no config group of quantization_config names {module_name(weight)}")

    def tensors_of(self, weight: str, shape: Shape, present: Container[str]) -> dict[str, Shape] | None:
        if weight in present or len(shape) != 2:
            return None
        n_outputs, n_inputs = shape
        spec, base = self.spec_of(weight), module_name(weight)
        tensors: dict[str, Shape] = {
            f"{base}.weight_packed": (n_outputs, spec.n_words(n_inputs)),
            f"{base}.weight_scale": (n_outputs, spec.n_groups(n_inputs)),
            f"{base}.weight_shape": (2,),
        }
        if not spec.symmetric:
            zero_words = -(-n_outputs // spec.levels_per_word)
            tensors[f"{base}.weight_zero_point"] = (zero_words, spec.n_groups(n_inputs))
        if self.order_name(weight) in present:
            tensors[self.order_name(weight)] = (n_inputs,)
        return tensors

    def order_name(self, weight: str) -> str:
        return f"{module_name(weight)}.weight_g_idx"

    def check_order(self, weight: str, group_index: Tensor) -> None:
        check_plain_order(self.order_name(weight), group_index, self.spec_of(weight))

    def read(self, weight: str, shape: Shape, get: GetTensor) -> PackedWeight:
        base, spec = module_name(weight), self.spec_of(weight)
        stored_shape = tuple(get(f"{base}.weight_shape").tolist())
        if stored_shape != shape:
            raise CheckpointError(f"{base}.weight_shape says {stored_shape}; the config says {shape}")
        zero = None
        if not spec.symmetric:
            packed_zero = get(f"{base}.weight_zero_point")  # packed along the outputs
            zero = unpack_levels(packed_zero.t(), spec.bits, shape[0]).t().contiguous()
        return PackedWeight(get(f"{base}.weight_packed"), get(f"{base}.weight_scale"), zero, shape[1], spec)

    @staticmethod
    def write(weight: str, packed: PackedWeight) -> dict[str, Tensor]:
        """The tensors to store for ``weight``."""
        base = module_name(weight)
        tensors = {
            f"{base}.weight_packed": packed.words,
            f"{base}.weight_scale": packed.scale,
            f"{base}.weight_shape": torch.tensor(packed.shape, dtype=torch.int64),
        }
        if packed.zero is not None:
            tensors[f"{base}.weight_zero_point"] = pack_levels(packed.zero.t(), packed.spec.bits).t().contiguous()
        return tensors


@dataclass(frozen=True)
class GptqPacked:
    """GPTQ packing: qweight int32 [inputs/8, outputs], scales [groups, outputs], qzeros int32 [groups, outputs/8].

    ``zero_is_less_one``: the first version of the format stores ``zero - 1`` (AutoGPTQ; AutoRound's ``auto_gptq``
    packing). ``overrides``: modules that are stored otherwise. Activation-ordered checkpoints are read when their
    ``g_idx`` is in plain order; others are refused, for their groups are not contiguous.
    """

    spec: QuantSpec
    zero_is_less_one: bool
    overrides: tuple[Override, ...] = ()
    needs_order: bool = False

    @classmethod
    def from_config(cls, section: Section) -> GptqPacked:
        packing = section.text("packing_format", section.text("checkpoint_format", "gptq"))
        known = {
            "auto_round:auto_gptq": True, "auto_round:gptq": True, "gptq": True, "auto_gptq": True,
            "auto_round": False, "auto_round:gptq_v2": False, "gptq_v2": False,
        }  # fmt: skip
        if packing not in known:
            raise ConfigError(f"{section.where}: packing format {packing[:80]!r} is none of {sorted(known)}")
        # Zero points are always stored here; symmetric checkpoints hold the middle everywhere.
        spec = make_spec(section, section.integer("bits"), read_group(section, 128), symmetric=False)
        return cls(spec, known[packing], overrides_of(section, spec), section.flag("desc_act", False))

    def spec_of(self, weight: str) -> QuantSpec:
        return self._chosen(weight) or self.spec

    def _chosen(self, weight: str) -> QuantSpec | None:
        """The storage of a module; None: it is not quantised."""
        module = module_name(weight)
        for override in self.overrides:
            if override.names(module):
                return override.spec
        return self.spec

    def tensors_of(self, weight: str, shape: Shape, present: Container[str]) -> dict[str, Shape] | None:
        spec = self._chosen(weight)
        if weight in present or len(shape) != 2 or spec is None:
            return None
        n_outputs, n_inputs = shape
        base = module_name(weight)
        per_word = spec.levels_per_word
        if n_inputs % per_word or n_outputs % per_word:
            raise CheckpointError(f"{weight}: GPTQ packing needs multiples of {per_word}, the config says {shape}")
        groups = spec.n_groups(n_inputs)
        tensors: dict[str, Shape] = {
            f"{base}.qweight": (n_inputs // per_word, n_outputs),
            f"{base}.qzeros": (groups, n_outputs // per_word),
            f"{base}.scales": (groups, n_outputs),
        }
        if self.needs_order or f"{base}.g_idx" in present:
            tensors[f"{base}.g_idx"] = (n_inputs,)
        return tensors

    def read(self, weight: str, shape: Shape, get: GetTensor) -> PackedWeight:
        base, spec = module_name(weight), self.spec_of(weight)
        zero = unpack_levels(get(f"{base}.qzeros"), spec.bits, shape[0]).t().contiguous()
        if self.zero_is_less_one:
            # uint8 arithmetic: 255 + 1 wraps to 0 as the format's reader does; 15 + 1 stays 16, as there.
            zero = zero + 1
        words = get(f"{base}.qweight").t().contiguous()
        scale = get(f"{base}.scales").t().contiguous()
        return PackedWeight(words, scale, zero, shape[1], spec)

    def order_name(self, weight: str) -> str:
        return f"{module_name(weight)}.g_idx"

    def check_order(self, weight: str, group_index: Tensor) -> None:
        check_plain_order(self.order_name(weight), group_index, self.spec_of(weight))


def check_plain_order(name: str, group_index: Tensor, spec: QuantSpec) -> None:
    """Raise CheckpointError when the groups of a weight are not in plain order."""
    plain = torch.arange(len(group_index)) // spec.group_size(len(group_index))
    if not torch.equal(group_index.to(torch.int64), plain):
        raise CheckpointError(f"{name} is not in order (act-order); use a checkpoint without it")
