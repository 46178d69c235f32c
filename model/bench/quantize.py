"""``main.py bench quantize``: what weight-only storage does to the outputs, part by part and as a whole.

One fixed input (a chirp, a gradient picture, fixed token ids) goes through the checkpoint in full precision and in each
storage. Errors are relative (root of squared error ÷ squared reference); "same" is how often the most likely token
stays.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.bench.random_checkpoint import write_sized
from model.errors import ModelError
from model.flash import Flash, load
from model.quant.load import GROUP
from model.quant.packing import SUPPORTED_BITS, QuantSpec
from model.quant.parts import Component, Policy, default_policy
from model.quant.storage import backend_for, quantising_storage

N_TOKENS = 128
SOUND_S = 4.0
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Outputs:
    """What the parts make of the fixed input."""

    sound: Tensor  # [n, H]
    picture: Tensor  # [n, H]
    thinker: Tensor  # [T, V] logits
    talker: Tensor | None  # [T, V] logits


@dataclass(frozen=True)
class Row:
    """One storage beside full precision."""

    storage: str
    quantised: str
    sound: float
    picture: float
    thinker: float
    thinker_same: float
    talker: float | None
    talker_same: float | None


def main(argv: Sequence[str]) -> int:
    """Run the bench; returns the exit status."""
    parser = argparse.ArgumentParser(prog="main.py bench quantize", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint directory (default: a random mid-size one)")
    parser.add_argument("--group", type=int, default=GROUP, help="inputs that share a scale")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args(argv)
    try:
        if arguments.checkpoint is not None:
            rows = list(measure(arguments.checkpoint, arguments.group))
        else:
            with tempfile.TemporaryDirectory() as directory:
                rows = list(measure(write_sized(directory, "mid"), arguments.group))
    except (ModelError, ValueError, OSError) as error:
        sys.stderr.write(f"bench quantize: {error}\n")
        return 1
    sys.stdout.write(table(rows) + "\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


def measure(directory: Path, group: int) -> Iterator[Row]:
    """Whole-model rows for int8 and int4, then int4 of one part at a time."""
    exact = outputs(load(directory, device="cpu", dtype="float32"))
    for bits in reversed(SUPPORTED_BITS):
        yield _row(directory, f"int{bits}", "all", default_policy(bits, group), exact)
    for part in Component:
        policy = Policy({part: QuantSpec(4, group)})
        row = _row(directory, "int4", str(part), policy, exact)
        if any((row.sound, row.picture, row.thinker, row.talker)):
            yield row


def _row(directory: Path, storage: str, quantised: str, policy: Policy, exact: Outputs) -> Row:
    packed = quantising_storage(policy, device=CPU, dtype=torch.float32, backend=backend_for(CPU))
    found = outputs(load(directory, device="cpu", dtype="float32", storage=packed))
    talker = talker_same = None
    if exact.talker is not None and found.talker is not None:
        talker, talker_same = _error(found.talker, exact.talker), _same(found.talker, exact.talker)
    return Row(
        storage,
        quantised,
        _error(found.sound, exact.sound),
        _error(found.picture, exact.picture),
        _error(found.thinker, exact.thinker),
        _same(found.thinker, exact.thinker),
        talker,
        talker_same,
    )


@torch.inference_mode()
def outputs(flash: Flash) -> Outputs:
    """Runs the fixed input through every part."""
    time_s = np.arange(int(SOUND_S * 16_000)) / 16_000
    chirp = (0.2 * np.sin(2 * np.pi * (150 + 400 * time_s) * time_s)).astype(np.float32)
    stream = flash.audio_encoder.stream(2.0)
    windows = stream.feed(chirp)
    rest = stream.finish()
    sound = torch.cat(windows if rest is None else [*windows, rest])
    ramp = np.linspace(0, 255, 128, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, flash.config.thinker.text.vocab_size, (N_TOKENS,), generator=generator)
    x = flash.thinker.embed(ids)
    hidden = flash.thinker(x, flash.thinker_rope.text(0, N_TOKENS), flash.new_thinker_cache(N_TOKENS), capture=False)
    talker = None
    if flash.talker is not None:
        rows = flash.talker.text_projection(x)
        talked = flash.talker(rows, flash.talker_rope.text(0, N_TOKENS), flash.new_talker_cache(N_TOKENS))
        talker = flash.talker.logits(talked)
    return Outputs(sound, flash.encode_picture(picture).embeddings, flash.thinker.logits(hidden.hidden), talker)


def _error(found: Tensor, exact: Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _same(found: Tensor, exact: Tensor) -> float:
    return float((found.argmax(-1) == exact.argmax(-1)).float().mean())


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    head = f"{'storage':<9}{'quantised':<28}{'sound':>8}{'picture':>9}{'Thinker':>9}{'same':>7}{'Talker':>9}{'same':>7}"
    lines = [head]
    for row in rows:
        talker = "" if row.talker is None else f"{row.talker:>9.4f}{row.talker_same:>7.0%}"
        lines.append(
            f"{row.storage:<9}{row.quantised:<28}{row.sound:>8.4f}{row.picture:>9.4f}{row.thinker:>9.4f}"
            f"{row.thinker_same:>7.0%}{talker}"
        )
    return "\n".join(lines)
