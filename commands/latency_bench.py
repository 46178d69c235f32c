"""`main.py bench latency`: where the time between the user's last sample and the reply's first one goes."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from app.view import Latency
from commands.checkpoints import ROOT
from commands.converse import add_engine_options, check_inputs, check_texts, headless_choice
from commands.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError
from commands.models.measured import keep_first_sound

STAGES = (
    ("commit_ms", "turn committed, reply asked for"),
    ("segment_end_ms", "end of the turn certain"),
    ("first_text_ms", "first text"),
    ("first_speech_ms", "first speech"),
    ("first_sample_ms", "first sample out"),
)
SAMPLES = ROOT / "assets" / "samples"


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summarise(latencies: Sequence[Latency]) -> dict[str, dict[str, float | int]]:
    known = {field.name for field in fields(Latency)}
    result: dict[str, dict[str, float | int]] = {}
    for name, _ in STAGES:
        assert name in known
        values = [value for latency in latencies if (value := getattr(latency, name)) is not None]
        if values:
            result[name] = {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95), "n": len(values)}
    return result


def table(summary: dict[str, dict[str, float | int]]) -> str:
    lines = [f"{'stage':<34}{'p50 ms':>9}{'p95 ms':>9}{'turns':>7}"]
    for name, label in STAGES:
        if name in summary:
            row = summary[name]
            lines.append(f"{label:<34}{row['p50']:>9.0f}{row['p95']:>9.0f}{row['n']:>7}")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Raises CommandError."""
    parser = argparse.ArgumentParser(
        prog="sightline bench latency",
        description="Per stage, from the arrival of the user's last voiced sample, at the pace of speech.",
    )
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--say", action="append", metavar="WAV", help="questions (default: the sample ones)")
    parser.add_argument("--watch", default="", metavar="FILE", help="what the camera sees meanwhile")
    parser.add_argument("--json", action="store_true")
    add_engine_options(parser)
    options = parser.parse_args(argv)
    options.realtime = True
    if options.turns < 1:
        raise CommandError(EXIT_USAGE, f"--turns must be at least 1, not {options.turns}.")
    questions = options.say or [str(path) for path in sorted(SAMPLES.glob("question-*.wav"))]
    if not questions:
        raise CommandError(EXIT_USAGE, f"There is no sample question in {SAMPLES}.", "Give --say FILE.")
    check_texts(options)
    check_inputs([("say", question) for question in questions], options.watch)

    from commands.headless import Headless

    with Headless(headless_choice(options)) as run:
        run.wait_ready()
        for number in range(options.turns):
            question = questions[number % len(questions)]
            sys.stderr.write(f"turn {number + 1} of {options.turns}: {question}\n")
            run.say(Path(question))
        latencies = list(run.latencies)
        view = run.view
    if not latencies:
        raise CommandError(EXIT_FAILED, "No reply was spoken, so nothing was measured.", "Try another checkpoint.")
    summary = summarise(latencies)
    first = summary.get("first_sample_ms")
    if first is not None and not options.engine and options.quantize == "none":
        keep_first_sound(view.engine.model, float(first["p50"]) / 1000, int(first["n"]))
    result: dict[str, Any] = {
        "model": view.engine.model,
        "engine": view.engine.url,
        "turns": options.turns,
        "spoken_replies": len(latencies),
        "drop_outs": view.drop_outs,
        "stages": summary,
    }
    if options.json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        sys.stdout.write(f"{view.engine.model}: {len(latencies)} spoken replies in {options.turns} turns\n")
        sys.stdout.write(table(summary) + "\n")
    return EXIT_OK
