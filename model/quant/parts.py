"""The parts of the model, which tensor belongs to which, and how each part is stored.

What keeps 16 bits and why: norms and routers are tiny and decide everything after them; the projections into the
Talker, the code predictor and Code2Wav make the voice, and a wrong code cannot be heard around.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from model.quant.packing import QuantSpec

Shape = tuple[int, ...]


class Component(StrEnum):
    """What a tensor is for, as the memory plan and the error table name it."""

    THINKER_EXPERTS = "Thinker experts"
    THINKER_ATTENTION = "Thinker attention"
    THINKER_DENSE = "Thinker dense layers"
    THINKER_EMBEDDING = "Thinker embedding"
    THINKER_HEAD = "Thinker head"
    TALKER_EXPERTS = "Talker experts"
    TALKER_ATTENTION = "Talker attention"
    TALKER_SHARED = "Talker shared experts"
    TALKER_CODES = "Talker embedding and head"
    TALKER_PROJECTIONS = "projections into the Talker"
    CODE_PREDICTOR = "code predictor"
    CODE2WAV = "Code2Wav"
    AUDIO_ENCODER = "audio encoder"
    VISION_ENCODER = "vision encoder"
    SMALL = "norms and routers"


_RULES: tuple[tuple[str, Component], ...] = (
    (r"thinker\.model\.embed_tokens\.", Component.THINKER_EMBEDDING),
    (r"thinker\.lm_head\.", Component.THINKER_HEAD),
    (r"(thinker|talker)\..*(norm|layernorm|mlp\.gate|shared_expert_gate)\.", Component.SMALL),
    (r"thinker\.audio_tower\.", Component.AUDIO_ENCODER),
    (r"thinker\.visual\.", Component.VISION_ENCODER),
    (r"thinker\.model\..*\.experts\.", Component.THINKER_EXPERTS),
    (r"thinker\.model\..*\.self_attn\.", Component.THINKER_ATTENTION),
    (r"thinker\.model\..*\.mlp\.", Component.THINKER_DENSE),
    (r"talker\.code_predictor\.", Component.CODE_PREDICTOR),
    (r"talker\.(text|hidden)_projection\.", Component.TALKER_PROJECTIONS),
    (r"talker\.(codec_head|model\.codec_embedding)\.", Component.TALKER_CODES),
    (r"talker\.model\..*\.experts\.", Component.TALKER_EXPERTS),
    (r"talker\.model\..*\.shared_expert\.", Component.TALKER_SHARED),
    (r"talker\.model\..*\.self_attn\.", Component.TALKER_ATTENTION),
    (r"talker\.model\..*\.mlp\.", Component.TALKER_SHARED),  # layers without experts
    (r"code2wav\.", Component.CODE2WAV),
)
_COMPILED = tuple((re.compile(pattern), part) for pattern, part in _RULES)


def part_of(name: str) -> Component:
    """The part that a published tensor name belongs to. Raises KeyError for a name of another model."""
    if name.startswith("talker.code_predictor."):
        return Component.CODE_PREDICTOR  # its norms stay with it: the whole predictor keeps its precision
    if name.startswith(("thinker.audio_tower.", "thinker.visual.")):
        return Component.AUDIO_ENCODER if "audio_tower" in name else Component.VISION_ENCODER
    for pattern, part in _COMPILED:
        if pattern.match(name):
            return part
    raise KeyError(name)


_ENCODER_MATRIX = re.compile(
    r"thinker\.(audio_tower\.(layers\.\d+\..*(_proj|fc1|fc2)|conv_out|proj1|proj2)"
    r"|visual\.(blocks\.\d+\.(attn|mlp)\..*|merger\.mlp\.\d|merger_list\.\d+\.mlp\.\d))\.weight"
)


def is_matrix(name: str, shape: Shape) -> bool:
    """Whether a tensor is a matrix that weight-only storage can hold (norms, convolutions and tables are not)."""
    if len(shape) != 2 or 0 in shape or not name.endswith(".weight"):
        return False
    if part_of(name) in (Component.AUDIO_ENCODER, Component.VISION_ENCODER):
        return _ENCODER_MATRIX.fullmatch(name) is not None
    return True


@dataclass(frozen=True)
class Policy:
    """Which parts are stored in how many bits; parts that are not named keep 16 bits."""

    storage: dict[Component, QuantSpec]

    def spec_of(self, name: str, shape: Shape) -> QuantSpec | None:
        """The storage of one tensor, or None for 16 bits."""
        return self.storage.get(part_of(name)) if is_matrix(name, shape) else None


_TEXT_PARTS = (
    Component.THINKER_EXPERTS, Component.THINKER_ATTENTION, Component.THINKER_DENSE, Component.THINKER_EMBEDDING,
    Component.THINKER_HEAD, Component.TALKER_EXPERTS, Component.TALKER_ATTENTION, Component.TALKER_SHARED,
)  # fmt: skip
_ENCODERS = (Component.AUDIO_ENCODER, Component.VISION_ENCODER)


def default_policy(bits: int, group: int, symmetric: bool = False) -> Policy:
    """``bits`` for Thinker and Talker, 8 bits for the encoders, 16 for what makes the voice."""
    text = QuantSpec(bits, group, symmetric)
    return Policy(dict.fromkeys(_TEXT_PARTS, text) | {part: QuantSpec(8, group, symmetric) for part in _ENCODERS})
