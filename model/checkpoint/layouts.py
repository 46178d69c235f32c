"""Ways in which the same tensors are stored, turned into the published names.

- The Thinker alone, as `Qwen3OmniMoeThinkerForConditionalGeneration` saves it: its names begin without `thinker.`.
- `save_original_format=False` of transformers 5: `experts.gate_up_proj` [E, 2 I, H] and `experts.down_proj` [E, H, I]
  stand for one gate, up and down matrix of each expert; in its later versions the encoders lie in `thinker.model.` and
  the text in `thinker.model.language_model.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.checkpoint.safetensors_file import Entry
from model.errors import CheckpointError

THINKER_ROOTS = ("model.", "audio_tower.", "visual.", "lm_head.")
_NESTED = {
    "thinker.model.language_model.": "thinker.model.",
    "thinker.model.audio_tower.": "thinker.audio_tower.",
    "thinker.model.visual.": "thinker.visual.",
}
FUSED_GATE_UP = ".experts.gate_up_proj"
FUSED_DOWN = ".experts.down_proj"
_EXPERT = re.compile(r"\.experts\.\d+\.(?:(down)_proj|(?:gate|up)_proj)\.weight$")
QUANTISED_ENDS = (".qweight", ".weight_packed")
VOICE_PREFIXES = ("talker.", "code2wav.")


@dataclass(frozen=True)
class Piece:
    """A tensor under its published name: all of a stored one, or rows of one expert in it."""

    stored: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    expert: int | None = None
    rows: tuple[int, int] | None = None

    def of(self, tensor: Tensor) -> Tensor:
        """This piece of the stored tensor, as a view."""
        if self.expert is None:
            return tensor
        matrix = tensor[self.expert]
        return matrix if self.rows is None else matrix[self.rows[0] : self.rows[1]]


def published_pieces(entries: Mapping[str, Entry]) -> dict[str, Piece]:
    """Published name -> where it is, for all stored tensors of a checkpoint or of one of its files.

    Raises CheckpointError for a weight that is there in two ways.
    """
    pieces: dict[str, Piece] = {}
    for stored, entry in entries.items():
        for name, piece in _split(published_name(stored), stored, entry):
            if name in pieces:
                raise CheckpointError(f"{name!r} is there twice, in {pieces[name].stored!r} and {stored!r}; keep one")
            pieces[name] = piece
    return pieces


def published_name(stored: str) -> str:
    """With the `thinker.` that the Thinker alone goes without, and nothing nested; fused experts stay fused."""
    name = f"thinker.{stored}" if stored.startswith(THINKER_ROOTS) else stored
    for nested, published in _NESTED.items():
        if name.startswith(nested):
            return published + name.removeprefix(nested)
    return name


def fused_name(name: str) -> str:
    """Of an expert's matrix: the tensor that holds it where experts are fused. Other names stay."""
    return _EXPERT.sub(lambda found: FUSED_DOWN if found[1] else FUSED_GATE_UP, name)


def _split(name: str, stored: str, entry: Entry) -> Iterator[tuple[str, Piece]]:
    fused = name.endswith((FUSED_GATE_UP, FUSED_DOWN)) and len(entry.shape) == 3
    if not fused:
        yield name, Piece(stored, entry.dtype, entry.shape)
        return
    base = name.rpartition(".")[0]
    n_experts, n_rows, n_columns = entry.shape
    for expert in range(n_experts):
        if name.endswith(FUSED_DOWN):
            piece = Piece(stored, entry.dtype, (n_rows, n_columns), expert)
            yield f"{base}.{expert}.down_proj.weight", piece
            continue
        half = n_rows // 2
        for part, rows in (("gate_proj", (0, half)), ("up_proj", (half, n_rows))):
            yield f"{base}.{expert}.{part}.weight", Piece(stored, entry.dtype, (half, n_columns), expert, rows)
