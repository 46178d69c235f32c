"""The memory plan: what each part takes on a card, checked before anything is loaded.

Sizes come from the config's tensor shapes and the storage policy, not from a measurement; ``RESERVE_BYTES`` stands for
what cannot be derived (the CUDA context, graph pools, working memory of a prefill).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from model.config import DecoderConfig, ModelConfig
from model.quant.packing import QuantSpec
from model.quant.parts import Part, Policy, default_policy, part_of
from model.tensors import expected_tensors

GB = 10**9
RESERVE_BYTES = GB
# What a PCIe 4.0 x16 slot moves in practice; only used to say what experts in host memory cost per token.
HOST_LINK_BYTES_PER_S = 25 * GB
SMALLEST_CONTEXT = 2048
_ENCODERS = (Part.AUDIO_ENCODER, Part.VISION_ENCODER)


@dataclass(frozen=True)
class Settings:
    """What decides the memory: ``host_expert_layers`` Thinker layers keep their experts in host memory."""

    context: int = 8192
    bits: int = 4
    group: int = 128
    symmetric: bool = False
    encoder_bits: int = 8
    cache_bits: int = 16
    embedding_on_host: bool = False
    host_expert_layers: int = 0

    def policy(self) -> Policy:
        policy = default_policy(self.bits, self.group, self.symmetric)
        encoders = None if self.encoder_bits == 16 else QuantSpec(self.encoder_bits, self.group, self.symmetric)
        storage = {part: spec for part, spec in policy.storage.items() if part not in _ENCODERS}
        return Policy(storage | dict.fromkeys(_ENCODERS, encoders) if encoders else storage)


@dataclass(frozen=True)
class Row:
    """One line of the plan: bytes on the card and bytes in host memory."""

    name: str
    card_bytes: int
    host_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """A plan for one card. ``advice`` names, in order, the settings that made it fit (or would)."""

    settings: Settings
    rows: tuple[Row, ...]
    limit_bytes: int
    advice: tuple[str, ...] = ()

    @property
    def card_bytes(self) -> int:
        return sum(row.card_bytes for row in self.rows)

    @property
    def host_bytes(self) -> int:
        return sum(row.host_bytes for row in self.rows)

    @property
    def fits(self) -> bool:
        return self.card_bytes <= self.limit_bytes

    def to_json(self) -> dict[str, object]:
        return {
            "settings": asdict(self.settings),
            "rows": [asdict(row) for row in self.rows],
            "card_bytes": self.card_bytes,
            "host_bytes": self.host_bytes,
            "limit_bytes": self.limit_bytes,
            "fits": self.fits,
            "advice": list(self.advice),
        }

    def table(self) -> str:
        """The plan as text, in units of 10^9 bytes."""
        lines = [f"{'part':<32}{'card GB':>10}{'host GB':>10}"]
        lines += [f"{row.name:<32}{row.card_bytes / GB:>10.2f}{row.host_bytes / GB:>10.2f}" for row in self.rows]
        lines.append(f"{'total':<32}{self.card_bytes / GB:>10.2f}{self.host_bytes / GB:>10.2f}")
        verdict = "fits" if self.fits else "DOES NOT FIT"
        lines.append(f"{verdict} in {self.limit_bytes / GB:.1f} GB at {self.settings.context} positions")
        return "\n".join([*lines, *(f"- {line}" for line in self.advice)])


def memory_bytes(spec: QuantSpec | None, shape: tuple[int, ...]) -> int:
    """Bytes of a tensor once loaded: 16 bits, or packed words with 16-bit scales and one byte per zero point."""
    if spec is None:
        return 2 * math.prod(shape)
    n_outputs, n_inputs = shape
    per_group = 2 if spec.symmetric else 3
    return n_outputs * (spec.n_words(n_inputs) * 4 + spec.n_groups(n_inputs) * per_group)


def cache_bytes(config: DecoderConfig, n_positions: int, bits: int) -> int:
    """Keys and values of all layers; 8-bit caches carry one 16-bit scale per head and position."""
    per_head = config.head_dim * bits // 8 + (2 if bits == 8 else 0)
    return 2 * config.num_hidden_layers * config.num_key_value_heads * per_head * n_positions


def _census(config: ModelConfig) -> Counter[tuple[str, tuple[int, ...], int]]:
    """Tensors by representative name, shape and layer; the experts of a layer are alike and counted once."""
    counts: Counter[tuple[str, tuple[int, ...], int]] = Counter()
    for name, shape in expected_tensors(config).items():
        head, _, tail = name.partition(".experts.")
        alike = f"{head}.experts.0.{tail.partition('.')[2]}" if tail else name
        counts[alike, shape, _layer(name)] += 1
    return counts


def make_plan(config: ModelConfig, settings: Settings, limit_bytes: int) -> Plan:
    """The plan of exactly these settings."""
    policy = settings.policy()
    card, host = dict.fromkeys(Part, 0), dict.fromkeys(Part, 0)
    for (name, shape, layer), count in _census(config).items():
        part = part_of(name)
        n_bytes = count * memory_bytes(policy.spec_of(name, shape), shape)
        on_host = (part is Part.THINKER_EXPERTS and layer < settings.host_expert_layers) or (
            part is Part.THINKER_EMBEDDING and settings.embedding_on_host
        )
        (host if on_host else card)[part] += n_bytes
    rows = [Row(str(part), card[part], host[part]) for part in Part if card[part] or host[part]]
    bits = settings.cache_bits
    rows.append(Row("Thinker cache", cache_bytes(config.thinker.text, settings.context, bits)))
    if config.talker is not None:
        rows.append(Row("Talker cache", cache_bytes(config.talker.text, settings.context, bits)))
    rows.append(Row("CUDA, graphs, working memory", RESERVE_BYTES))
    return Plan(settings, tuple(rows), limit_bytes)


def fit_plan(config: ModelConfig, settings: Settings, limit_bytes: int) -> Plan:
    """The given plan when it fits; else the one with the fewest and cheapest changes, named in ``advice``."""
    plan = make_plan(config, settings, limit_bytes)
    advice: list[str] = []
    for change, reason in _changes(config, settings, limit_bytes):
        if plan.fits:
            break
        before = plan.card_bytes
        plan = make_plan(config, change, limit_bytes)
        advice.append(f"{reason}: saves {(before - plan.card_bytes) / GB:.2f} GB on the card")
    if not plan.fits:
        plan, line = _experts_to_host(config, plan)
        advice.append(line)
    return replace(plan, advice=tuple(advice))


def _changes(config: ModelConfig, settings: Settings, limit_bytes: int) -> Iterator[tuple[Settings, str]]:
    """Settings that save memory, cheapest first, each on top of the one before."""
    if settings.encoder_bits > 8:
        settings = replace(settings, encoder_bits=8)
        yield settings, "encoders in int8"
    if not settings.embedding_on_host:
        settings = replace(settings, embedding_on_host=True)
        row_bytes = config.thinker.text.hidden_size * 2
        yield settings, f"embedding table in host memory (not built yet; moves at most {row_bytes} bytes per token)"
    if settings.cache_bits > 8:
        settings = replace(settings, cache_bits=8)
        yield settings, "int8 caches (not built yet)"
    if not make_plan(config, replace(settings, context=SMALLEST_CONTEXT), limit_bytes).fits:
        return  # experts must leave the card anyway, and then a short memory of the conversation saves next to nothing
    while settings.context > SMALLEST_CONTEXT:
        settings = replace(settings, context=max(SMALLEST_CONTEXT, settings.context // 2))
        yield settings, f"shorter context ({settings.context} positions)"


def _experts_to_host(config: ModelConfig, plan: Plan) -> tuple[Plan, str]:
    text = config.thinker.text
    sparse = [layer for layer in range(text.num_hidden_layers) if text.is_sparse(layer)]
    experts_row = next((row for row in plan.rows if row.name == Part.THINKER_EXPERTS), None)
    if experts_row is None:
        return plan, "this card cannot hold the model"
    layer_bytes = experts_row.card_bytes // len(sparse)
    n_moved = min(len(sparse), -(-(plan.card_bytes - plan.limit_bytes) // layer_bytes))
    plan = make_plan(config, replace(plan.settings, host_expert_layers=sparse[n_moved - 1] + 1), plan.limit_bytes)
    experts_row = next(row for row in plan.rows if row.name == Part.THINKER_EXPERTS)
    bytes_per_token = experts_row.host_bytes * text.num_experts_per_tok // max(text.num_experts, 1)
    line = (
        f"experts of {plan.settings.host_expert_layers} of {text.num_hidden_layers} Thinker layers in host memory "
        "(not built yet): "
        f"{experts_row.host_bytes / GB:.2f} GB there; a token reads {bytes_per_token / 10**6:.0f} MB of it, "
        f"{bytes_per_token / HOST_LINK_BYTES_PER_S * 1000:.1f} ms at {HOST_LINK_BYTES_PER_S / GB:.0f} GB/s (derived)"
    )
    return plan, line if plan.fits else line + "; the rest of the model still does not fit this card"


def parse_bytes(text: str) -> int:
    """``24GB``, ``512MB`` or ``22.5 GB`` to bytes (10^9, 10^6). Raises ValueError with the accepted form."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(GB|MB|G|M)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"size {text!r} is not understood; write it as 24GB or 512MB")
    unit = (match[2] or "GB").upper()[0]
    return int(float(match[1]) * (GB if unit == "G" else 10**6))


def _layer(name: str) -> int:
    match = re.search(r"\.layers\.(\d+)\.", name)
    return int(match[1]) if match else -1
