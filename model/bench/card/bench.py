"""``main.py bench card``: the published model, made at random in int4 on the card, and what it does there.

In order: the tests that need a card; does the whole model with speech, its caches and a live camera fit; how soon does
it speak after a question; how long each step takes beside reading its weights; the reference on the same card; where
the time of a reply goes. Writes `gpu-results.md` and `gpu-results.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from model.bench.card import report
from model.bench.card.conversation import latency, open_session, peak_bytes, profile, question, take_turn
from model.bench.card.peer import compare_with_peer
from model.bench.card.steps import copy_bandwidth, time_steps
from model.bench.random_config import Json
from model.bench.random_model import random_model
from model.checkpoint.config import parse_config
from model.conversation.session import Session
from model.device import choose_device
from model.errors import ModelError
from model.flash import Flash
from model.memory import CACHE_BITS, Memory
from model.quant.packing import SUPPORTED_BITS
from model.quant.plan import Settings, make_plan, parse_bytes

PARTS = ("tests", "fit", "latency", "steps", "peer", "profile")
MODEL_PARTS = ("fit", "latency", "steps", "profile")  # on the whole model
Keep = Callable[[dict[str, Any]], None]
ROOT = Path(__file__).resolve().parents[2]
TESTS_TIMEOUT_S = 1800
CARD_TESTS = ("tests/model/quant/test_kernels.py", "tests/model/quant/test_attention_kernel.py", "tests/model/graphs")


def main(argv: Sequence[str]) -> int:
    """Run the bench; returns the exit status: 1 when any part failed. What the others found is kept."""
    options = _parser().parse_args(argv)
    try:
        result = run(options, keep=lambda found: _keep(found, options.out))
    except (ModelError, ValueError, OSError) as error:
        sys.stderr.write(f"bench card: {error}\n")
        return 1
    sys.stdout.write(report.markdown(result))
    for part, why in result["failed"].items():
        sys.stderr.write(f"bench card: {part} failed: {why}\n")
    return 1 if result["failed"] else 0


def _keep(result: dict[str, Any], folder: Path | None) -> None:
    """Writes what has been found so far: time on a card is short, and the next part may end it."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gpu-results.md").write_text(report.markdown(result), encoding="utf-8")
        (folder / "gpu-results.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} was given, expected 1 or more")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py bench card", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--config", type=Path, required=True, help="config.json of the shapes, e.g. the published 30B-A3B one")
    add("--device", default="auto")
    add("--dtype", default="auto")
    add("--card", default="24GB", help="memory that may be used of a larger card")
    add("--bits", type=int, choices=SUPPORTED_BITS, default=4)
    add("--group", type=int, default=128)
    add("--positions", type=int, default=8192, help="of the conversation's memory")
    add("--cache-bits", type=int, choices=CACHE_BITS, default=16)
    add("--embedding-on-host", action="store_true")
    add("--host-expert-layers", type=int, default=0)
    add("--graphs", default="auto", help="auto, cuda, static or off")
    add("--turns", type=_count, default=30)
    add("--sound-s", type=float, default=5.0, help="length of a question")
    add("--pictures", type=int, default=5, help="pictures in a question, where there are any")
    add("--tokens", type=int, default=40, help="at most, in a reply")
    add("--frames", type=int, default=100, help="codec frames at most, 80 ms each, in a reply")
    add("--steps", type=_count, default=100, help="steps to time")
    add("--peer-layers", type=int, default=4, help="Thinker and Talker layers of both sides beside the reference")
    add("--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts to run")
    add("--out", type=Path, help="folder for gpu-results.md and gpu-results.json")
    return parser


class Findings:
    """What the parts have found so far, kept after each of them."""

    def __init__(self, result: dict[str, Any], keep: Keep) -> None:
        self.result, self._keep = result, keep
        result["failed"] = {}

    def add(self, part: str, find: Callable[[], dict[str, Any]]) -> None:
        """Runs one part. One that fails is noted, and the next one has its chance (out of memory is a RuntimeError)."""
        try:
            self.result |= find()
        except (RuntimeError, subprocess.TimeoutExpired, ModelError) as error:
            self.result["failed"][part] = f"{type(error).__name__}: {error}"
        self._keep(self.result)


def run(options: argparse.Namespace, keep: Keep = lambda result: None) -> dict[str, Any]:
    """All parts that were asked for, as JSON; `keep` gets what there is after each of them."""
    published: Json = json.loads(options.config.read_text(encoding="utf-8"))
    device = choose_device(options.device)
    found = Findings({"machine": machine(device), "command": _command(options), "parts": list(options.only)}, keep)
    if "tests" in options.only:
        found.add("tests", lambda: {"tests": run_tests(device)})
    if set(options.only) & set(MODEL_PARTS):
        _on_the_model(published, options, device, found)
    if "peer" in options.only:
        found.add("peer", lambda: {"peer": _peer(published, options, device)})
    return found.result


def _peer(published: Json, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    if find_spec("transformers") is None:
        raise ModelError("the peer is transformers, which is not installed; run scripts/setup dev, or use --only")
    dtype = "bfloat16" if options.dtype == "auto" and device.type == "cuda" else options.dtype
    case = question(options.sound_s, max(options.pictures, 1), options.tokens, options.frames)
    dtype = "float32" if dtype == "auto" else dtype
    return compare_with_peer(published, case, options.peer_layers, str(device), dtype)


def _on_the_model(published: Json, options: argparse.Namespace, device: torch.device, found: Findings) -> None:
    limit = parse_bytes(options.card)
    memory = Memory(options.positions, options.cache_bits, options.embedding_on_host, options.host_expert_layers, limit)
    settings = Settings(
        options.positions, options.bits, options.group, cache_bits=options.cache_bits,
        embedding_on_host=options.embedding_on_host, host_expert_layers=options.host_expert_layers,
    )  # fmt: skip
    found.result["plan"] = make_plan(parse_config(published), settings, limit).to_json()
    _cap(device, limit)
    made: dict[str, int] = {}
    opened: list[tuple[Flash, Session]] = []

    def note(part: str) -> None:
        made[part] = torch.cuda.memory_allocated(device) - sum(made.values()) if device.type == "cuda" else 0

    def make() -> dict[str, Any]:
        bandwidth = copy_bandwidth(device)
        flash = random_model(
            published, settings.policy(), device=str(device), dtype=options.dtype, memory=memory,
            graphs=options.graphs, on_part=note,
        )  # fmt: skip
        opened.append((flash, open_session(flash, options.positions)))
        return {"copy_bytes_per_s": bandwidth}

    found.add("model", make)
    if not opened:
        return
    ((flash, session),) = opened
    context = session.context
    caches = context.thinker_cache.n_bytes + context.talker_cache.n_bytes
    with_pictures = question(options.sound_s, options.pictures, options.tokens, options.frames)

    def fit() -> dict[str, Any]:
        for _ in range(3):
            take_turn(session, with_pictures)
        return {"fit": {"by_part": made, "caches": caches, "peak": peak_bytes(device), "limit": limit}}

    def latencies() -> dict[str, Any]:
        without = question(options.sound_s, 0, options.tokens, options.frames)
        return {"latency": [asdict(latency(session, case, options.turns)) for case in (without, with_pictures)]}

    def steps() -> dict[str, Any]:
        session.read("Go on.")
        times = time_steps(flash, session, options.steps)
        return {"steps": [{**asdict(row), "share": row.share} for row in times]}

    def where_time_goes() -> dict[str, Any]:
        return {"profile": asdict(profile(session, with_pictures))}

    for part, find in zip(MODEL_PARTS, (fit, latencies, steps, where_time_goes), strict=True):
        if part in options.only:
            found.add(part, find)


def _cap(device: torch.device, limit: int) -> None:
    """No more of a larger card than the one that is asked about has."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total), device)


def machine(device: torch.device) -> dict[str, str]:
    """What it ran on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"
    return {
        "device": name,
        "cuda": str(torch.version.cuda),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def run_tests(device: torch.device) -> dict[str, Any]:
    """Kernels against their twins and recorded steps against the plain path, on the card, in a process of their own."""
    if device.type != "cuda":
        return {"passed": True, "summary": "no card, so they were not run"}
    command = [sys.executable, "-m", "pytest", *CARD_TESTS, "-q", "--no-header"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TESTS_TIMEOUT_S, check=False)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"passed": done.returncode == 0, "summary": lines[-1] if lines else done.stderr[-500:], "failed": failed}


def _command(options: argparse.Namespace) -> str:
    chosen = {name: value for name, value in vars(options).items() if name not in ("only", "out")}
    flags = " ".join(f"--{name.replace('_', '-')} {_shown(value)}" for name, value in chosen.items() if value)
    return f"main.py bench card {flags} --only {' '.join(options.only)}"


def _shown(value: object) -> str:
    return value.name if isinstance(value, Path) else "" if value is True else str(value)
