"""`bench reference` and `bench turns`: our runtime against the reference implementation and against its own history."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from model.bench.sides import Case, Measured, peak_mb, resident_mb, run_ours, run_reference
from model.conversation.session import Session
from model.errors import InputError, ModelError
from model.network.mel import RATE_HZ

SIDES = {"ours": run_ours, "reference": run_reference}
CHILD_TIMEOUT_S = 1800
# Greedy codes are equal; samples differ by float32 rounding only.
SAMPLE_TOLERANCE = 1e-4
# Of `bench turns` after its first tenth: caches have a fixed budget, so only the allocator's noise may be left.
MAX_GROWTH_MB = 32.0


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="main.py bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    reference = commands.add_parser("reference", help="transformers' generate() and ours on the same conversation")
    reference.add_argument("--checkpoint", type=Path, help="a checkpoint directory (default: a random mid-size one)")
    reference.add_argument("--sound-s", type=float, default=5.0, help="seconds of sound")
    reference.add_argument("--pictures", type=int, default=4)
    reference.add_argument("--tokens", type=int, default=60, help="text tokens of the reply")
    reference.add_argument("--frames", type=int, default=210, help="codec frames of the reply, 80 ms each")
    turns = commands.add_parser("turns", help="time and memory of a turn against the length of the conversation")
    turns.add_argument("--checkpoint", type=Path, help="a checkpoint directory (default: a random tiny one)")
    turns.add_argument("--turns", type=int, default=2000)
    turns.add_argument("--max-positions", type=int, default=2048)
    for command in (reference, turns):
        command.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of both sides")
        command.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args(argv)
    try:
        result = bench_reference(options) if options.command == "reference" else bench_turns(options)
    except ModelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["ok"] else 1


# ---- against the reference -----------------------------------------------------------------------------------------


def bench_reference(options: argparse.Namespace) -> dict[str, Any]:
    """Runs both sides, each in its own process, and prints the table."""
    if find_spec("transformers") is None:
        raise InputError("bench reference compares with transformers, which is not installed; run scripts/setup dev")
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        work = Path(folder)
        case = Case(
            checkpoint=_checkpoint(options.checkpoint, "mid", work),
            sound_s=options.sound_s,
            n_pictures=options.pictures,
            n_tokens=options.tokens,
            n_frames=options.frames,
            n_threads=options.threads,
        )
        measured = {side: run_side(side, case, work) for side in SIDES}
        result = compare(case, measured["ours"], measured["reference"])
    sys.stdout.write(result["table"] + "\n")
    return result


def _checkpoint(given: Path | None, size: str, work: Path) -> Path:
    if given is not None:
        return given.resolve()
    from model.bench.random_checkpoint import write_sized

    return write_sized(work / size, size)


def run_side(side: str, case: Case, work: Path) -> Measured:
    sys.stderr.write(f"running {side} ...\n")
    request = {**asdict(case), "checkpoint": str(case.checkpoint)}
    answer = work / f"{side}.json"
    command = [sys.executable, "-m", "model.bench.reference", "--side", side, json.dumps(request), str(answer)]
    threads = {
        "OMP_NUM_THREADS": str(case.n_threads),
        "OMP_WAIT_POLICY": "PASSIVE",
    }  # idle threads sleep, as in the engine
    environment = {**os.environ, **threads, "TOKENIZERS_PARALLELISM": "false"}
    root = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, timeout=CHILD_TIMEOUT_S, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{side} took more than {CHILD_TIMEOUT_S} s; ask for fewer --tokens and --frames") from error
    if done.returncode:
        raise InputError(f"{side} failed with status {done.returncode}:\n{done.stderr.strip()[-4000:]}")
    return Measured(**json.loads(answer.read_text(encoding="utf-8")))


def compare(case: Case, ours: Measured, reference: Measured) -> dict[str, Any]:
    """The table, the ratios, and whether both sides said the same."""
    rows = [
        ("first sound, all input at once (s)", reference.first_sound_s, ours.first_sound_s),
        ("first sound, processor time (s)", reference.first_sound_cpu_s, ours.first_sound_cpu_s),
        ("first sound after the user's last word (s)", reference.first_sound_s, ours.live_first_sound_s or 0.0),
        ("whole reply (s)", reference.total_s, ours.total_s),
        ("whole reply, processor time (s)", reference.cpu_s, ours.cpu_s),
        ("Thinker (ms per token)", reference.thinker_ms_per_token, ours.thinker_ms_per_token),
        ("Talker to samples (ms per codec frame of 80 ms)", reference.ms_per_frame, ours.ms_per_frame),
        ("peak memory (MB)", reference.peak_mb, ours.peak_mb),
        ("  of it before loading (MB)", reference.imported_mb, ours.imported_mb),
        ("loading (s)", reference.load_s, ours.load_s),
    ]
    same_text = ours.tokens == reference.tokens
    same_codes = ours.codes == reference.codes
    difference = _difference(Path(ours.samples_file), Path(reference.samples_file))
    same_sound = difference is not None and difference <= SAMPLE_TOLERANCE
    lines = [
        f"{case.sound_s:g} s of sound + {case.n_pictures} pictures -> {len(ours.tokens)} text tokens, "
        f"{len(ours.codes)} codec frames ({len(ours.codes) * 0.08:.1f} s of speech); "
        f"CPU, float32, {case.n_threads} thread(s), torch {torch.__version__}",
        f"{'':50}{'reference':>12}{'ours':>12}{'ratio':>10}",
    ]
    lines += [
        f"{name:50}{theirs:12.3f}{mine:12.3f}{theirs / mine if mine else float('inf'):9.1f}x"
        for name, theirs, mine in rows
    ]
    lines.append(
        f"same text: {_yes(same_text)}; same codes: {_yes(same_codes)}; "
        f"largest difference of samples: {'lengths differ' if difference is None else f'{difference:.1e}'}"
    )
    return {
        "ok": same_text and same_codes and same_sound,
        "table": "\n".join(lines),
        "case": {**asdict(case), "checkpoint": case.checkpoint.name},
        "rows": [{"what": name.strip(), "reference": theirs, "ours": mine} for name, theirs, mine in rows],
        "same_text": same_text,
        "same_codes": same_codes,
        "largest_sample_difference": difference,
    }


def _difference(ours: Path, reference: Path) -> float | None:
    mine, theirs = np.load(ours), np.load(reference)
    return float(np.abs(mine - theirs).max()) if mine.shape == theirs.shape else None


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


# ---- against history ------------------------------------------------------------------------------------------------


def bench_turns(options: argparse.Namespace) -> dict[str, Any]:
    """A scripted conversation, turn after turn in one session; the budget of positions keeps it bounded."""
    from model.flash import load

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="sightline-bench-") as folder:
        flash = load(_checkpoint(options.checkpoint, "tiny", Path(folder)), device="cpu")
        session = Session(flash, "Be brief.", max_positions=options.max_positions, seed=0)
        script = replace(Case(Path(), 1.0, 1, 4, 6, options.threads))
        rows: list[dict[str, float]] = []
        every = max(options.turns // 10, 1)
        times: list[float] = []
        cpu_times: list[float] = []
        header = (
            f"{'turns':>8}{'positions':>11}{'ms per turn':>13}{'processor ms':>14}{'slowest ms':>12}{'memory MB':>11}"
        )
        sys.stdout.write(header + "\n")
        for number in range(1, options.turns + 1):
            clock, cpu_clock = perf_counter(), process_time()
            _turn(session, script, number)
            times.append(perf_counter() - clock)
            cpu_times.append(process_time() - cpu_clock)
            if number % every == 0:
                row = {
                    "turns": number,
                    "positions": session.context.thinker_cache.length,
                    "ms_per_turn": 1e3 * float(np.median(times)),
                    "cpu_ms_per_turn": 1e3 * float(np.median(cpu_times)),
                    "slowest_ms": 1e3 * max(times),
                    "memory_mb": resident_mb(),
                }
                rows.append(row)
                sys.stdout.write(_TURNS_ROW.format(**row))
                sys.stdout.flush()
                times.clear()
                cpu_times.clear()
    # After the budget is full (the first tenth or so) nothing may grow.
    settled = rows[1:] or rows
    growth_mb = settled[-1]["memory_mb"] - settled[0]["memory_mb"]
    return {"ok": growth_mb <= MAX_GROWTH_MB, "rows": rows, "memory_growth_mb": growth_mb, "peak_mb": peak_mb()}


_TURNS_ROW = (
    "{turns:8.0f}{positions:11.0f}{ms_per_turn:13.1f}{cpu_ms_per_turn:14.1f}{slowest_ms:12.1f}{memory_mb:11.1f}\n"
)


def _turn(session: Any, script: Case, number: int) -> None:
    """One turn: sound, every second time a picture with it, every third time typed text; then a spoken reply."""
    if number % 2:
        session.see(script.pictures()[0], at_s=0.0)
    session.hear(script.sound(), RATE_HZ)
    if number % 3 == 0:
        session.read(f"turn {number}")
    for _ in session.reply(max_tokens=script.n_tokens, max_frames=script.n_frames):
        pass


def _child(side: str, request: str, answer: str) -> int:
    fields = json.loads(request)
    case = Case(**{**fields, "checkpoint": Path(fields["checkpoint"])})
    measured = SIDES[side](case, Path(answer).with_suffix(".npy"))
    Path(answer).write_text(json.dumps(measured.as_json()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        raise SystemExit(_child(*sys.argv[2:5]))
    raise SystemExit(main())
