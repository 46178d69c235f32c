"""``main.py bench cpu``: the published shapes on a processor, random in int4, step by step and in conversation.

Every step stands beside what reading its weights takes at the bandwidth that was measured in the same run. `--layers`
cuts the model down; the whole of it needs 22 GB.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from model.bench.card.conversation import open_session, question, take_turn
from model.bench.card.steps import time_steps
from model.bench.random_config import Json
from model.bench.random_model import random_model
from model.bench.sides import peak_mb
from model.errors import ModelError
from model.flash import Flash
from model.memory import CACHE_BITS, Memory
from model.quant.packing import SUPPORTED_BITS, QuantSpec
from model.quant.parts import Component, Policy
from model.quant.plan import Settings

GB = 10**9
PREFILLS = (26, 128, 300)  # positions: a window of sound, a sentence and its turn, a picture
READ_BYTES = 1 << 28
FRAMES_PER_S = 12.5


def main(argv: Sequence[str]) -> int:
    """Run the bench; returns the exit status."""
    options = _parser().parse_args(argv)
    try:
        result = run(options)
    except (ModelError, ValueError, OSError) as error:
        sys.stderr.write(f"bench cpu: {error}\n")
        return 1
    sys.stdout.write(table(result))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py bench cpu", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--config", type=Path, required=True, help="config.json of the shapes, e.g. the published 30B-A3B one")
    add("--layers", type=int, help="layers of Thinker and encoders, and at most so many of the Talker (default: all)")
    add("--bits", type=int, choices=SUPPORTED_BITS, default=4, help="of Thinker and Talker")
    add("--predictor-bits", type=int, choices=(*SUPPORTED_BITS, 16), default=8, help="of the code predictor")
    add("--group", type=int, default=128)
    add("--dtype", choices=("float32", "bfloat16"), default="bfloat16", help="of caches and what is not packed")
    add("--cache-bits", type=int, choices=CACHE_BITS, default=16)
    add("--positions", type=int, default=4096)
    add("--threads", type=int, help="default: as many as torch takes")
    add("--steps", type=int, default=50, help="steps to time")
    add("--prefills", type=int, default=3, help="prefills of each length to time")
    add("--turns", type=int, default=1, help="conversations with and without a picture; 0: none")
    add("--sound-s", type=float, default=5.0, help="length of a question")
    add("--speech-s", type=float, default=12.0, help="length of an answer")
    add("--json", type=Path, help="also write the result to this file")
    return parser


def shortened(published: Json, n_layers: int | None) -> Json:
    """The same shapes with fewer layers."""
    if n_layers is None:
        return published
    content = deepcopy(published)
    thinker, talker = content["thinker_config"], content["talker_config"]
    thinker["text_config"]["num_hidden_layers"] = n_layers
    talker["text_config"]["num_hidden_layers"] = min(n_layers, talker["text_config"]["num_hidden_layers"])
    talker["accept_hidden_layer"] = min(n_layers, talker["accept_hidden_layer"])
    vision = thinker["vision_config"]
    n_deep = min(n_layers, len(vision["deepstack_visual_indexes"]))
    vision["depth"] = min(vision["depth"], max(n_layers, n_deep))
    vision["deepstack_visual_indexes"] = list(range(n_deep))
    thinker["audio_config"]["encoder_layers"] = min(n_layers, thinker["audio_config"]["encoder_layers"])
    return content


def read_bandwidth() -> float:
    """Bytes per second of a plain read, on all threads: the best of a few."""
    memory = torch.ones(READ_BYTES // 8, dtype=torch.int64)
    memory.sum()
    times = []
    for _ in range(5):
        begun = perf_counter()
        memory.sum()
        times.append(perf_counter() - begun)
    return READ_BYTES / min(times)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, as JSON."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    published: Json = json.loads(options.config.read_text(encoding="utf-8"))
    memory = Memory(options.positions, options.cache_bits)
    settings = Settings(options.positions, options.bits, options.group, cache_bits=options.cache_bits)
    policy = settings.policy()
    if options.predictor_bits != 16:
        predictor = QuantSpec(options.predictor_bits, options.group)
        policy = Policy(policy.storage | {Component.CODE_PREDICTOR: predictor})
    begun = perf_counter()
    flash = random_model(
        shortened(published, options.layers), policy, device="cpu", dtype=options.dtype, memory=memory, graphs="off"
    )
    made_s = perf_counter() - begun
    bandwidth = read_bandwidth()
    session = open_session(flash, options.positions)
    session.read("Go on.")
    steps = time_steps(flash, session, options.steps)
    result: dict[str, Any] = {
        "machine": {"processor": platform.machine(), "threads": torch.get_num_threads(), "torch": torch.__version__},
        "options": {name: value for name, value in vars(options).items() if isinstance(value, int | float | str)},
        "made_s": made_s,
        "read_bytes_per_s": bandwidth,
        "steps": [
            {
                "step": row.step,
                "ms": row.ms,
                "bytes": row.bytes_read,
                "share_of_bandwidth": row.bytes_read / (row.ms / 1000) / bandwidth,
            }
            for row in steps
        ],
        "prefill": [_prefill(flash, n_tokens, options.prefills) for n_tokens in PREFILLS],
        "conversation": [],
    }
    for n_pictures in (0, 1) if options.turns else ():
        frames = round(options.speech_s * FRAMES_PER_S)
        case = question(options.sound_s, n_pictures, frames // 3, frames)
        # A conversation of its own: it begins as a user's does.
        talk = open_session(flash, options.positions)
        turns = [turn for _ in range(options.turns) if (turn := take_turn(talk, case)) is not None]
        if turns:
            result["conversation"].append(
                {
                    "pictures": n_pictures,
                    "n": len(turns),
                    "first_sound_s": statistics.median(turn.first_speech_s for turn in turns),
                    "real_time_factor": sum(turn.total_s for turn in turns) / sum(turn.speech_s for turn in turns),
                    "speech_s": sum(turn.speech_s for turn in turns),
                }
            )
    result["peak_gb"] = peak_mb() / 1000
    return result


@torch.inference_mode()
def _prefill(flash: Flash, n_tokens: int, n_times: int) -> dict[str, float]:
    """So many positions at once, read from the beginning."""
    x = torch.randn(n_tokens, flash.config.thinker.text.hidden_size).to(flash.dtype)
    cache = flash.new_thinker_cache(n_tokens)

    def once() -> float:
        cache.truncate(0)
        begun = perf_counter()
        flash.thinker(x, flash.thinker_rope.text(0, n_tokens), cache)
        return perf_counter() - begun

    once()
    best = min(once() for _ in range(n_times))
    return {"tokens": n_tokens, "ms": best * 1000, "tokens_per_s": n_tokens / best, "n": n_times}


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    machine = result["machine"]
    lines = [
        f"{machine['threads']} threads, plain read {result['read_bytes_per_s'] / GB:.1f} GB/s, "
        f"model made in {result['made_s']:.0f} s, peak {result['peak_gb']:.1f} GB",
        "",
        f"{'step':<20}{'ms':>9}{'MB read':>10}{'of the bandwidth':>18}",
    ]
    lines += [
        f"{row['step']:<20}{row['ms']:>9.2f}{row['bytes'] / 1e6:>10.0f}{row['share_of_bandwidth']:>18.0%}"
        for row in result["steps"]
    ]
    lines += ["", f"{'prefill':<20}{'ms':>9}{'tokens/s':>10}"]
    lines += [f"{row['tokens']:<20}{row['ms']:>9.1f}{row['tokens_per_s']:>10.0f}" for row in result["prefill"]]
    for row in result["conversation"]:
        lines.append(
            f"\nquestion with {row['pictures']} pictures (n={row['n']}): first sound {row['first_sound_s']:.2f} s, "
            f"real-time factor {row['real_time_factor']:.2f} over {row['speech_s']:.1f} s of speech"
        )
    return "\n".join(lines) + "\n"
