"""The memory plan: what each part takes on a device, checked before anything is loaded.

Sizes come from the config's tensor shapes and the storage of each, not from a measurement; a reserve stands for what
cannot be derived (the CUDA context, graph pools, working memory of a prefill). `advice.py` finds what would fit.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

from model.checkpoint.config import DecoderConfig, ModelConfig
from model.checkpoint.tensors import expected_tensors
from model.memory import Memory
from model.quant.packing import QuantSpec
from model.quant.parts import Component, Policy, default_policy, part_of

GB = 10**9
CUDA_RESERVE_BYTES = GB
CPU_RESERVE_BYTES = GB // 4
REPLY_ROWS = 4096 + 9  # of the Talker's cache on a card: the longest reply by default, and its prompt
FORK_ROWS = 384  # of the Thinker's cache on a card: a transcription beside the conversation
SCALE_BYTES = 2  # of a row of an int8 cache
_ENCODERS = (Component.AUDIO_ENCODER, Component.VISION_ENCODER)
Shape = tuple[int, ...]
SpecOf = Callable[[str, Shape], QuantSpec | None]
Census = Counter[tuple[str, Shape, int]]


@dataclass(frozen=True)
class Settings:
    """What decides the memory: ``host_expert_layers`` Thinker layers keep their experts in host memory.

    ``bits`` 16 stores no weight packed; then, and for what is never packed, ``float_bytes`` is the size of a number.
    """

    context: int = 8192
    bits: int = 4
    group: int = 128
    symmetric: bool = False
    encoder_bits: int = 8
    cache_bits: int = 16
    embedding_on_host: bool = False
    host_expert_layers: int = 0
    float_bytes: int = 2

    def policy(self) -> Policy:
        if self.bits == 16:
            return Policy({})
        policy = default_policy(self.bits, self.group, self.symmetric)
        encoders = None if self.encoder_bits == 16 else QuantSpec(self.encoder_bits, self.group, self.symmetric)
        storage = {part: spec for part, spec in policy.storage.items() if part not in _ENCODERS}
        return Policy(storage | dict.fromkeys(_ENCODERS, encoders) if encoders else storage)

    def memory(self) -> Memory:
        """The same as what ``model.load`` takes."""
        return Memory(self.context, self.cache_bits, self.embedding_on_host, self.host_expert_layers)


@dataclass(frozen=True)
class Row:
    """One line of the plan: bytes on the device and bytes in host memory."""

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


def memory_bytes(spec: QuantSpec | None, shape: Shape, float_bytes: int = 2) -> int:
    """Bytes of a tensor once loaded: plain, or packed words with scales and one byte per zero point."""
    if spec is None:
        return float_bytes * math.prod(shape)
    n_outputs, n_inputs = shape
    per_group = float_bytes + (0 if spec.symmetric else 1)
    return n_outputs * (spec.n_words(n_inputs) * 4 + spec.n_groups(n_inputs) * per_group)


def cache_bytes(config: DecoderConfig, n_positions: int, bits: int, float_bytes: int = 2) -> int:
    """Keys and values of all layers; 8-bit caches carry one 16-bit scale per head and position."""
    per_head = config.head_dim + SCALE_BYTES if bits == 8 else config.head_dim * float_bytes
    return 2 * config.num_hidden_layers * config.num_key_value_heads * per_head * n_positions


def census_of(config: ModelConfig) -> Census:
    """Tensors by representative name, shape and layer; the experts of a layer are alike and counted once."""
    counts: Census = Counter()
    for name, shape in expected_tensors(config).items():
        head, _, tail = name.partition(".experts.")
        alike = f"{head}.experts.0.{tail.partition('.')[2]}" if tail else name
        counts[alike, shape, layer_of(name)] += 1
    return counts


def make_plan(
    config: ModelConfig,
    settings: Settings,
    limit_bytes: int,
    *,
    spec_of: SpecOf | None = None,
    reserve_bytes: int = CUDA_RESERVE_BYTES,
    census: Census | None = None,
) -> Plan:
    """The plan of exactly these settings; ``spec_of`` says how a checkpoint that is packed already is stored.

    ``census`` saves counting the config's tensors again when many plans are made.
    """
    spec_of = settings.policy().spec_of if spec_of is None else spec_of
    card, host = dict.fromkeys(Component, 0), dict.fromkeys(Component, 0)
    for (name, shape, layer), count in (census_of(config) if census is None else census).items():
        part = part_of(name)
        # Code2Wav always runs in float32: see model/flash.py.
        float_bytes = 4 if part is Component.CODE2WAV else settings.float_bytes
        n_bytes = count * memory_bytes(spec_of(name, shape), shape, float_bytes)
        on_host = (part is Component.THINKER_EXPERTS and layer < settings.host_expert_layers) or (
            part is Component.THINKER_EMBEDDING and settings.embedding_on_host
        )
        (host if on_host else card)[part] += n_bytes
    rows = [Row(str(part), card[part], host[part]) for part in Component if card[part] or host[part]]
    bits, width = settings.cache_bits, settings.float_bytes
    rows.append(Row("Thinker cache", cache_bytes(config.thinker.text, settings.context + FORK_ROWS, bits, width)))
    if config.talker is not None:
        n_rows = settings.context + REPLY_ROWS
        rows.append(Row("Talker cache", cache_bytes(config.talker.text, n_rows, bits, width)))
    rows.append(Row("graphs and working memory", reserve_bytes))
    return Plan(settings, tuple(rows), limit_bytes)


def parse_bytes(text: str) -> int:
    """``24GB``, ``512MB`` or ``22.5 GB`` to bytes (10^9, 10^6). Raises ValueError with the accepted form."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(GB|MB|G|M)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"size {text!r} is not understood; write it as 24GB or 512MB")
    unit = (match[2] or "GB").upper()[0]
    return int(float(match[1]) * (GB if unit == "G" else 10**6))


def layer_of(name: str) -> int:
    """The number of the layer that a tensor belongs to; -1 for none."""
    match = re.search(r"\.layers\.(\d+)\.", name)
    return int(match[1]) if match else -1
