"""The results of ``bench card`` as a page of docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

GB = 10**9


def markdown(result: dict[str, Any]) -> str:
    """All parts that were run."""
    machine = result["machine"]
    lines = [
        f"# Results on {machine['device']}",
        "",
        f"{machine['date']}, torch {machine['torch']}, CUDA {machine['cuda']}, Python {machine['python']}.",
        "",
        f"`{result['command']}`",
        "",
    ]
    for part in (_failed, _tests, _fit, _latency, _steps, _peer, _profile):
        lines += part(result)
    return "\n".join(lines).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = "|".join(["---", *("---:" for _ in head[1:])])
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows), ""]


def _failed(result: dict[str, Any]) -> list[str]:
    if not result.get("failed"):
        return []
    rows = [(part, " ".join(why.split()).replace("|", "/")[:300]) for part, why in result["failed"].items()]
    return ["## Parts that failed", "", *_table(("part", "why"), rows)]


def _tests(result: dict[str, Any]) -> list[str]:
    if "tests" not in result:
        return []
    found = result["tests"]
    verdict = "Passed" if found["passed"] else "FAILED"
    lines = ["## Tests on the card", "", f"{verdict}: {found['summary'].strip('= ')}", ""]
    return lines + [f"- {line}" for line in found.get("failed", ())]


def _fit(result: dict[str, Any]) -> list[str]:
    if "fit" not in result:
        return []
    found, plan = result["fit"], result["plan"]
    planned = f"planned {plan['card_bytes'] / GB:.2f} GB"
    lines = ["## Memory", "", f"Limit {found['limit'] / GB:.1f} GB, {planned}.", ""]
    if not found["peak"]:
        return [*lines, "On a CPU nothing is measured by part.", ""]
    rows = [(part, f"{size / GB:.2f}") for part, size in found["by_part"].items()]
    rows.append(("caches", f"{found['caches'] / GB:.2f}"))
    rows += [(f"peak, {name}", f"{size / GB:.2f}") for name, size in found["peak"].items()]
    return [*lines, *_table(("part", "GB"), rows)]


def _latency(result: dict[str, Any]) -> list[str]:
    if "latency" not in result:
        return []
    head = (
        "pictures",
        "turns",
        "first token p50 / p95 (ms)",
        "first 80 ms of speech p50 / p95 (ms)",
        "real-time factor",
    )
    rows = [
        (
            str(row["n_pictures"]),
            str(row["n_turns"]),
            f"{row['first_token_p50']:.0f} / {row['first_token_p95']:.0f}",
            f"{row['first_speech_p50']:.0f} / {row['first_speech_p95']:.0f}",
            f"{row['real_time_factor']:.3f}",
        )
        for row in result["latency"]
    ]
    return ["## From the end of the question", "", *_table(head, rows)]


def _steps(result: dict[str, Any]) -> list[str]:
    if "steps" not in result:
        return []
    rows = [
        (
            row["step"],
            f"{row['ms']:.2f}",
            f"{row['bytes_read'] / 10**6:.0f}",
            f"{row['limit_ms']:.2f}",
            f"{row['share']:.0%}",
        )
        for row in result["steps"]
    ]
    bandwidth = result["copy_bytes_per_s"] / GB
    head = ("step", "ms", "must read (MB)", "limit (ms)", "of the limit")
    return ["## Steps", "", f"A large copy moves {bandwidth:.0f} GB/s.", "", *_table(head, rows)]


def _peer(result: dict[str, Any]) -> list[str]:
    if "peer" not in result:
        return []
    found = result["peer"]
    rows = [
        (row["what"], f"{row['reference']:.3f}", f"{row['ours']:.3f}", f"{row['reference'] / row['ours']:.1f}x")
        for row in found["rows"]
    ]
    same = "the same text" if found["same_text"] else "not the same text"
    text = f"Both with {found['layers']} Thinker layers, {found['n_tokens']} tokens, {same}."
    return ["## Beside transformers", "", text, "", *_table(("", "transformers", "Sightline", "ratio"), rows)]


def _profile(result: dict[str, Any]) -> list[str]:
    if "profile" not in result:
        return []
    found = result["profile"]
    share = found["busy_ms"] / found["total_ms"]
    text = f"One reply: {found['total_ms']:.0f} ms, of which the device worked {found['busy_ms']:.0f} ms ({share:.0%})."
    rows = [(f"`{name[:80]}`", f"{ms:.2f}", str(calls)) for name, ms, calls in found["kernels"]]
    return ["## Where the time goes", "", text, "", *_table(("kernel", "ms", "calls"), rows)]
