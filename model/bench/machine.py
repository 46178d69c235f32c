"""``main.py bench machine``: what this machine can do with the published model, in words, measured in seconds.

It times the products of one expert layer of the published 30B-A3B shapes, one row (a token) and many (a question that
is read), and a plain read of memory; what a whole model would take is derived from that and from the number of weights,
and says so. No weights are needed. `measure` is the quick form for the app.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from time import perf_counter

import torch
from torch import Tensor, nn

from model.device import known_free_bytes
from model.quant.packing import PackedWeight, QuantSpec
from model.quant.storage import backend_for, has_compiler

GB = 10**9
CPU = torch.device("cpu")
FRAME_S = 0.08
TOKENS_PER_SPOKEN_S = 4.0
# The published 30B-A3B shapes. Source: its config.json; weights that a token or a frame reads, in millions.
HIDDEN, INNER, EXPERTS, CHOSEN = 2048, 768, 128, 8
EXPERT_WEIGHTS = CHOSEN * 3 * INNER * HIDDEN  # that a token reads of a layer
THINKER_WEIGHTS = 48 * (18.9e6 + EXPERT_WEIGHTS) + 311e6
TALKER_WEIGHTS = 20 * (4.7e6 + 6 * 3 * 384 * 1024 + 3 * 768 * 1024)
PREDICTOR_WEIGHTS = 15 * 79e6
ENCODER_WEIGHTS = {"sound of 2 s": (26, 0.64e9), "picture": (1200, 0.5e9)}  # rows, weights that all of them meet
CODE2WAV_FLOPS = 4.5e9  # of a frame, in groups of eight
INT4_BYTES, INT8_BYTES = 0.53, 1.03  # of a weight, with scales and zero points
MODEL_BYTES = 22 * GB  # int4 with 4,096 positions: docs/memory.md
SMALL_MODEL_BYTES = GB
MEASURED_EXPERTS = {4: 64, 8: 24}  # more than caches hold of most processors, few enough to be made at once
PICTURE_TOKENS = 300
QUESTION_END_TOKENS = 40  # the last window and the turn's end


@dataclass(frozen=True)
class Machine:
    """What was measured, and on how many threads. Rates are bytes or operations per second."""

    threads: int
    kind: str  # the instructions that products use, or "unpacked" without a compiler
    read_bytes_per_s: float
    int4_bytes_per_s: float  # of weights, one row
    int8_bytes_per_s: float
    many_rows_flops: float
    float_flops: float
    free_bytes: int | None

    @property
    def token_s(self) -> float:
        """A Thinker token of the published model in int4; derived."""
        return THINKER_WEIGHTS * INT4_BYTES / self.int4_bytes_per_s

    @property
    def frame_s(self) -> float:
        """A codec frame and its sound, Talker and predictor in int8; derived."""
        codes = (TALKER_WEIGHTS + PREDICTOR_WEIGHTS) * INT8_BYTES / self.int8_bytes_per_s
        return codes + CODE2WAV_FLOPS / self.float_flops

    @property
    def real_time_factor(self) -> float:
        """Time to make a second of speech with its text, in seconds; derived."""
        return self.frame_s / FRAME_S + TOKENS_PER_SPOKEN_S * self.token_s

    def reading_s(self, n_tokens: int) -> float:
        """The Thinker reads so many positions at once: most experts' weights once, or arithmetic; derived."""
        touched = 1 - (1 - CHOSEN / EXPERTS) ** n_tokens
        weights = 48 * (18.9e6 + touched * EXPERTS * 3 * INNER * HIDDEN)
        work = 2 * n_tokens * (THINKER_WEIGHTS - 311e6)
        return max(weights * INT4_BYTES / self.int4_bytes_per_s, work / self.many_rows_flops)

    def encoding_s(self, what: str) -> float:
        """One window of sound or one picture through its encoder; derived."""
        rows, weights = ENCODER_WEIGHTS[what]
        return 2 * rows * weights / self.many_rows_flops

    @property
    def first_word_s(self) -> float:
        """From the end of a spoken question to the first word of text; derived."""
        return self.encoding_s("sound of 2 s") + self.reading_s(QUESTION_END_TOKENS) + self.token_s

    @property
    def first_sound_s(self) -> float:
        """From the end of a spoken question to the first sound; derived."""
        return self.first_word_s + self.frame_s

    @property
    def picture_s(self) -> float:
        """To see one picture of 300 positions; derived."""
        return self.encoding_s("picture") + self.reading_s(PICTURE_TOKENS)

    def words(self) -> str:
        """What this machine can do, for a person."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        lines = [
            f"Measured with {threads} ({self.kind}): memory {self.read_bytes_per_s / GB:.0f} GB/s, int4 products "
            f"{self.int4_bytes_per_s / GB:.0f} GB/s for one position, {self.many_rows_flops / GB:.0f} GFLOP/s for many."
        ]
        room = self.free_bytes
        if room is not None and room < MODEL_BYTES:
            lines.append(
                f"The published 30B-A3B model does not fit: it needs {MODEL_BYTES / GB:.0f} GB in int4, "
                f"{room / GB:.0f} GB are free. Use flash-mini, which answers at once here."
                if room >= SMALL_MODEL_BYTES
                else f"Only {room / GB:.1f} GB of memory are free: close other programs to run even flash-mini."
            )
        factor = self.real_time_factor
        verdict = (
            "It would speak without a break"
            if factor <= 1
            else "It would pause between sentences"
            if factor <= 1.5
            else "It would wait long before each sentence"
        )
        lines.append(
            f"With the published model in int4 (derived): {verdict}: {factor:.1f} seconds to make a second of speech, "
            f"first sound {self.first_sound_s:.1f} s after a question, {1 / self.token_s:.0f} words of text a second, "
            f"a picture every {self.picture_s:.1f} s."
        )
        return "\n".join(lines)


def measure(budget_s: float = 15.0) -> Machine:
    """Times this machine for about so long. Makes and frees about 0.5 GB."""
    share = budget_s / 6
    read = _read_rate(share / 2)
    int4 = _experts(4)
    int4_rate, many = _one_row_rate(int4, 4, share), _many_rows_rate(int4, share)
    del int4
    int8_rate = _one_row_rate(_experts(8), 8, share)
    square = torch.randn(1024, 1024)
    floats = 2 * 1024**3 / _best(lambda: square @ square, share / 2)
    return Machine(torch.get_num_threads(), _kind(), read, int4_rate, int8_rate, many, floats, known_free_bytes(CPU))


def _kind() -> str:
    if not has_compiler():
        return "unpacked"
    from model.quant.processor.vector import KIND

    return KIND


def _read_rate(for_s: float) -> float:
    memory = torch.ones(1 << 24, dtype=torch.int64)
    return memory.nbytes / _best(memory.sum, for_s)


def _experts(bits: int) -> nn.Module:
    n_experts = MEASURED_EXPERTS[bits]
    gate_up, down = _drawn((n_experts, 2 * INNER, HIDDEN), bits), _drawn((n_experts, HIDDEN, INNER), bits)
    return backend_for(CPU).experts(gate_up, down)


def _choices(bits: int, n_rows: int) -> Tensor:
    return torch.stack([torch.randperm(MEASURED_EXPERTS[bits])[:CHOSEN] for _ in range(n_rows)])


def _one_row_rate(experts: nn.Module, bits: int, for_s: float) -> float:
    """Other experts every time, as a token finds them: not those that still lie in a cache."""
    row, gates = torch.randn(1, HIDDEN), torch.full((1, CHOSEN), 1 / CHOSEN)
    orders = cycle([_choices(bits, 1) for _ in range(64)])
    n_bytes = EXPERT_WEIGHTS * (INT4_BYTES if bits == 4 else INT8_BYTES)
    return n_bytes / _best(lambda: experts(row, next(orders), gates), for_s)


def _many_rows_rate(experts: nn.Module, for_s: float, n_rows: int = 256) -> float:
    rows, chosen = torch.randn(n_rows, HIDDEN), _choices(4, n_rows)
    gates = torch.full((n_rows, CHOSEN), 1 / CHOSEN)
    return 2 * n_rows * EXPERT_WEIGHTS / _best(lambda: experts(rows, chosen, gates), for_s)


def _best(call: Callable[[], object], for_s: float) -> float:
    """Seconds of a call: the least of many, because other programs only slow it down."""
    call()
    times: list[float] = []
    end = perf_counter() + for_s
    while len(times) < 3 or (perf_counter() < end and len(times) < 1000):
        begun = perf_counter()
        call()
        times.append(perf_counter() - begun)
    return min(times)


def _drawn(shape: tuple[int, ...], bits: int) -> PackedWeight:
    spec = QuantSpec(bits, 128)
    *lead, n_inputs = shape
    words = torch.full((*lead, spec.n_words(n_inputs)), 0x5A3C7E19, dtype=torch.int32)
    scale = torch.full((*lead, spec.n_groups(n_inputs)), 1e-3, dtype=torch.bfloat16)
    return PackedWeight(words, scale, torch.full(scale.shape, spec.middle, dtype=torch.uint8), n_inputs, spec)


def main(argv: Sequence[str], keep: Callable[[Machine], None] = lambda _found: None) -> int:
    """Run the bench; returns the exit status. `keep` gets what was found."""
    parser = argparse.ArgumentParser(prog="main.py bench machine", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to measure")
    parser.add_argument("--threads", type=int, help="default: as many as torch takes")
    parser.add_argument("--json", action="store_true", help="figures instead of words")
    options = parser.parse_args(argv)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    found = measure(options.seconds)
    if options.threads is None:  # else it is not what a model would find
        keep(found)
    if options.json:
        derived = {
            "token_s": found.token_s,
            "frame_s": found.frame_s,
            "real_time_factor": found.real_time_factor,
            "first_sound_s": found.first_sound_s,
            "picture_s": found.picture_s,
        }
        content = {"machine": platform.machine(), "measured": asdict(found), "derived": derived}
        sys.stdout.write(json.dumps(content, indent=2) + "\n")
    else:
        sys.stdout.write(found.words() + "\n")
    return 0
