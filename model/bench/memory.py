"""``main.py bench memory``: what each memory setting costs and saves, on the device at hand.

A checkpoint in int4 reads a fixed prompt and decodes from it, once as it is and once with each setting. On a CPU "host
memory" is the same memory, so what is measured there is the copying and the arithmetic, not a card's link; and times
are processor time, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor

from model.bench.random_checkpoint import write_sized
from model.errors import ModelError
from model.flash import Flash, load
from model.memory import Memory
from model.quant.placement import HostExperts

WARM_UP = 3


@dataclass(frozen=True)
class Row:
    """One setting beside none."""

    setting: str
    prefill_ms: float
    token_ms: float
    cache_bytes: int  # of the prompt's and the tokens' rows, Thinker and Talker
    moved_bytes_per_token: float  # from host memory
    error: float  # of the logits over all decoded tokens, relative to no setting
    same: float  # share of tokens whose most likely successor stays


def main(argv: Sequence[str]) -> int:
    """Run the bench; returns the exit status."""
    parser = argparse.ArgumentParser(prog="main.py bench memory", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint directory (default: a random mid-size one)")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quantize", choices=("int8", "int4"), help="default: int4 for the random checkpoint")
    parser.add_argument("--prompt", type=int, default=1024, help="positions before the first token")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    arguments = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory() as directory:
            checkpoint, quantize = arguments.checkpoint, arguments.quantize
            if checkpoint is None:
                checkpoint, quantize = write_sized(directory, "mid"), quantize or "int4"
            rows = list(measure(checkpoint, arguments.device, quantize, arguments.prompt, arguments.tokens))
    except (ModelError, ValueError, OSError) as error:
        sys.stderr.write(f"bench memory: {error}\n")
        return 1
    sys.stdout.write(table(rows) + "\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


def measure(checkpoint: Path, device: str, quantize: str | None, n_prompt: int, n_tokens: int) -> Iterator[Row]:
    """No setting, then each by itself."""
    exact: Tensor | None = None
    for name, memory in _settings(checkpoint):
        flash = load(checkpoint, device=device, quantize=quantize, memory=memory)
        row, logits = _run(name, flash, n_prompt, n_tokens)
        if exact is None:
            exact = logits
        error = float((logits - exact).norm() / exact.norm())
        same = float((logits.argmax(-1) == exact.argmax(-1)).float().mean())
        yield Row(**{**asdict(row), "error": error, "same": same})


def _settings(checkpoint: Path) -> list[tuple[str, Memory]]:
    from model.checkpoint.config import load_config

    n_layers = load_config(checkpoint).thinker.text.num_hidden_layers
    return [
        ("none", Memory()),
        ("embedding on the host", Memory(embedding_on_host=True)),
        ("int8 caches", Memory(cache_bits=8)),
        (f"experts of {n_layers // 2} layers on the host", Memory(host_expert_layers=n_layers // 2)),
        (f"experts of all {n_layers} layers on the host", Memory(host_expert_layers=n_layers)),
    ]


@torch.inference_mode()
def _run(name: str, flash: Flash, n_prompt: int, n_tokens: int) -> tuple[Row, Tensor]:
    vocabulary = flash.config.thinker.text.vocab_size
    ids = torch.randint(0, vocabulary, (n_prompt + n_tokens,), generator=torch.Generator().manual_seed(0))
    ids = ids.to(flash.device)
    thinker, talker = flash.new_thinker_cache(len(ids)), flash.new_talker_cache(len(ids))
    now_s = perf_counter if flash.device.type == "cuda" else process_time
    clock = now_s()
    for start in range(0, n_prompt, 512):
        x = flash.thinker.embed(ids[start : min(start + 512, n_prompt)])
        flash.thinker(x, flash.thinker_rope.text(start, x.shape[0]), thinker, capture=False)
        if flash.talker is not None:
            rows = flash.talker.text_projection(x)
            flash.talker(rows, flash.talker_rope.text(start, x.shape[0]), talker)
    _wait(flash)
    prefill_s = now_s() - clock
    moved = _moved_bytes(flash)
    times, logits = [], []
    for number in range(n_prompt, n_prompt + n_tokens):
        clock = now_s()
        x = flash.thinker.embed(ids[number : number + 1])
        out = flash.thinker(x, flash.thinker_rope.text(number, 1), thinker, capture=False)
        logits.append(flash.thinker.logits(out.hidden).cpu())
        times.append(now_s() - clock)
    row = Row(
        setting=name,
        prefill_ms=prefill_s * 1000,
        token_ms=median(times[WARM_UP:] or times) * 1000,
        cache_bytes=sum(cache.n_bytes * cache.length // cache.capacity for cache in (thinker, talker)),
        moved_bytes_per_token=(_moved_bytes(flash) - moved) / n_tokens,
        error=0.0,
        same=1.0,
    )
    return row, torch.cat(logits)


def _moved_bytes(flash: Flash) -> int:
    return sum(module.moved_bytes for module in flash.thinker.modules() if isinstance(module, HostExperts))


def _wait(flash: Flash) -> None:
    if flash.device.type == "cuda":
        torch.cuda.synchronize(flash.device)


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [
        f"{'setting':<36}{'prefill ms':>11}{'ms/token':>10}{'cache MB':>10}{'moved MB':>10}{'error':>8}{'same':>7}"
    ]
    lines += [
        f"{row.setting:<36}{row.prefill_ms:>11.0f}{row.token_ms:>10.2f}{row.cache_bytes / 1e6:>10.2f}"
        f"{row.moved_bytes_per_token / 1e6:>10.2f}{row.error:>8.4f}{row.same:>7.0%}"
        for row in rows
    ]
    return "\n".join(lines)
