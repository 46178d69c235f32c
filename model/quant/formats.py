"""Published int4/int8 checkpoints: which tensors stand for a weight, and how they become a ``PackedWeight``.

Two families exist for this model. compressed-tensors ``pack-quantized`` (AWQ checkpoints of vLLM's llm-compressor;
also what ``models quantize`` writes) is our own layout. GPTQ packing (AutoRound, GPTQ) holds the transposed matrix,
so reading it is a transpose of words; its first version stores zero points less one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from model.errors import CheckpointError, ConfigError
from model.quant.packing import PackedWeight, QuantSpec, pack_levels, unpack_levels

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


def stored_format(config: Mapping[str, Any]) -> StoredFormat | None:
    """The format that config.json's ``quantization_config`` names, or None. Raises ConfigError for one we cannot
    read.
    """
    section = config.get("quantization_config") or config.get("thinker_config", {}).get("quantization_config")
    if section is None:
        return None
    method = section.get("quant_method")
    if method == "compressed-tensors":
        return PackQuantized.from_config(section)
    if method in ("gptq", "auto-round"):
        return GptqPacked.from_config(section)
    raise ConfigError(
        f"config.json: quantization_config.quant_method is {method!r}; this runtime reads 'compressed-tensors' "
        "(pack-quantized), 'gptq' and 'auto-round'. Use the unquantised checkpoint, or one of those"
    )


def module_name(weight: str) -> str:
    return weight.removesuffix(".weight")


@dataclass(frozen=True)
class PackQuantized:
    """compressed-tensors ``pack-quantized``: weight_packed, weight_scale, weight_shape, and weight_zero_point if
    asymmetric.

    ``groups``: storage by module name pattern, first match first; a pattern of None matches every module (published
    checkpoints name layer classes, which say nothing more once a quantised tensor is found).
    """

    groups: tuple[tuple[str | None, QuantSpec], ...]

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> PackQuantized:
        named = section.get("config_groups")
        if section.get("format") != "pack-quantized" or not isinstance(named, Mapping) or not named:
            raise ConfigError(
                f"config.json: compressed-tensors format {section.get('format')!r} with config groups {named!r}; "
                "this runtime reads 'pack-quantized'"
            )
        groups: list[tuple[str | None, QuantSpec]] = []
        for group in named.values():
            spec = cls._group_spec(group.get("weights") or {})
            targets = group.get("targets") or ["Linear"]
            groups.extend((target[3:] if target.startswith("re:") else None, spec) for target in targets)
        return cls(tuple(groups))

    @staticmethod
    def _group_spec(weights: Mapping[str, Any]) -> QuantSpec:
        strategy = weights.get("strategy", "group")
        if weights.get("type", "int") != "int" or strategy not in ("group", "channel"):
            raise ConfigError(
                f"config.json: quantised weights are {dict(weights)}; expected type 'int' by 'group' or 'channel'"
            )
        size = int(weights["group_size"]) if strategy == "group" else 0
        return _spec(weights.get("num_bits"), size, weights.get("symmetric", True))

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
        for pattern, spec in self.groups:
            if pattern is None or re.match(pattern, module_name(weight)):
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
        return tensors

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
    packing). Activation-ordered checkpoints (a ``g_idx`` that is not in order) are refused: their groups are not
    contiguous.
    """

    spec: QuantSpec
    zero_is_less_one: bool

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> GptqPacked:
        if section.get("desc_act"):
            raise ConfigError("config.json: desc_act (activation order) is set; use a checkpoint without it")
        packing = str(section.get("packing_format") or section.get("checkpoint_format") or "gptq")
        known = {
            "auto_round:auto_gptq": True, "gptq": True, "auto_gptq": True,
            "auto_round": False, "auto_round:gptq_v2": False, "gptq_v2": False,
        }  # fmt: skip
        if packing not in known:
            raise ConfigError(f"config.json: packing format {packing!r} is none of {sorted(known)}")
        group = int(section.get("group_size", 128))
        # Zero points are always stored here; symmetric checkpoints hold the middle everywhere.
        return cls(_spec(section.get("bits"), max(group, 0), symmetric=False), known[packing])

    def spec_of(self, weight: str) -> QuantSpec:
        return self.spec

    def tensors_of(self, weight: str, shape: Shape, present: Container[str]) -> dict[str, Shape] | None:
        if weight in present or len(shape) != 2:
            return None
        n_outputs, n_inputs = shape
        spec, base = self.spec, module_name(weight)
        per_word = spec.levels_per_word
        if n_inputs % per_word or n_outputs % per_word:
            raise CheckpointError(f"{weight}: GPTQ packing needs multiples of {per_word}, the config says {shape}")
        groups = spec.n_groups(n_inputs)
        tensors: dict[str, Shape] = {
            f"{base}.qweight": (n_inputs // per_word, n_outputs),
            f"{base}.qzeros": (groups, n_outputs // per_word),
            f"{base}.scales": (groups, n_outputs),
        }
        if f"{base}.g_idx" in present:
            tensors[f"{base}.g_idx"] = (n_inputs,)
        return tensors

    def read(self, weight: str, shape: Shape, get: GetTensor) -> PackedWeight:
        base = module_name(weight)
        zero = unpack_levels(get(f"{base}.qzeros"), self.spec.bits, shape[0]).t().contiguous()
        if self.zero_is_less_one:
            # uint8 arithmetic: 255 + 1 wraps to 0 as the format's reader does; 15 + 1 stays 16, as there.
            zero = zero + 1
        words = get(f"{base}.qweight").t().contiguous()
        scale = get(f"{base}.scales").t().contiguous()
        return PackedWeight(words, scale, zero, shape[1], self.spec)

    def check_order(self, weight: str, group_index: Tensor) -> None:
        """Raise CheckpointError when a stored ``g_idx`` is not the plain order; the loader calls it where one is
        stored.
        """
        plain = torch.arange(len(group_index)) // self.spec.group_size(len(group_index))
        if not torch.equal(group_index.to(torch.int64), plain):
            raise CheckpointError(
                f"{module_name(weight)}.g_idx is not in order (act-order); use a checkpoint without it"
            )


def _spec(bits: Any, group: int, symmetric: bool) -> QuantSpec:
    try:
        return QuantSpec(int(bits), group, bool(symmetric))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"config.json: quantization_config: {error}") from error
