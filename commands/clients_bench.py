"""`main.py bench clients`: several conversations with one engine at once, and whether each gets its share."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from commands.checkpoints import ROOT
from commands.errors import EXIT_ENGINE, EXIT_OK, EXIT_USAGE, CommandError
from commands.latency_bench import SAMPLES, percentile

RATE_HZ = 24_000
PATIENCE_S = 120.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One spoken reply. Seconds; `first_s` from the request, `made_s` from the first to the last sound."""

    client: int
    first_s: float
    made_s: float
    spoken_s: float


def summarise(answers: Sequence[Answer]) -> dict[str, float | int]:
    """`factor`: time from the first to the last sound, by the length of the speech, of all replies together.

    `behind`: how much longer than the average the client with the largest factor took, as a share.
    """
    by_client: dict[int, list[Answer]] = {}
    for answer in answers:
        by_client.setdefault(answer.client, []).append(answer)
    factors = [_factor(mine) for mine in by_client.values()]
    firsts = [answer.first_s for answer in answers]
    return {
        "replies": len(answers),
        "factor": round(_factor(answers), 3),
        "behind": round(max(factors) / mean(factors) - 1, 3),
        "first_sound_p50_s": round(percentile(firsts, 0.5), 3),
        "first_sound_p95_s": round(percentile(firsts, 0.95), 3),
    }


def _factor(answers: Sequence[Answer]) -> float:
    return sum(answer.made_s for answer in answers) / sum(answer.spoken_s for answer in answers)


def main(argv: Sequence[str]) -> int:
    """Raises CommandError."""
    parser = argparse.ArgumentParser(
        prog="sightline bench clients",
        description="So many clients ask at the same moment, again and again, each in a conversation of its own.",
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 8], metavar="N")
    parser.add_argument("--rounds", type=int, default=6, help="questions of each client (6)")
    parser.add_argument("--checkpoint", default="", metavar="DIR", help="checkpoint folder (default: the shipped one)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.rounds < 1 or min(options.clients) < 1:
        raise CommandError(EXIT_USAGE, "--clients and --rounds must be at least 1.")
    questions = [_sound(path) for path in sorted(SAMPLES.glob("question-*.wav"))]
    results: dict[int, dict[str, float | int]] = {}
    with _engine(max(options.clients), options.checkpoint) as (url, token):
        for n_clients in options.clients:
            answers = asyncio.run(_talk(url, token, n_clients, options.rounds, questions))
            results[n_clients] = summarise(answers)
    if options.json:
        sys.stdout.write(json.dumps(results) + "\n")
        return EXIT_OK
    sys.stdout.write(f"{'clients':>8}{'replies':>9}{'factor':>8}{'behind':>8}{'p50 s':>8}{'p95 s':>8}\n")
    for n_clients, row in results.items():
        sys.stdout.write(
            f"{n_clients:>8}{row['replies']:>9}{row['factor']:>8.2f}{row['behind']:>8.0%}"
            f"{row['first_sound_p50_s']:>8.2f}{row['first_sound_p95_s']:>8.2f}\n"
        )
    return EXIT_OK


def _sound(path: Path) -> str:
    """A question as base64 16-bit samples."""
    import numpy as np
    import soxr

    from audio_io.blocks import INSIDE_RATE_HZ
    from audio_io.sound_file import open_sound

    samples = np.concatenate(list(open_sound(path).pieces(INSIDE_RATE_HZ)))
    pcm = (soxr.resample(samples, INSIDE_RATE_HZ, RATE_HZ) * 32767).astype("<i2")
    return base64.b64encode(pcm.tobytes()).decode()


@contextlib.contextmanager
def _engine(n_clients: int, checkpoint: str) -> Iterator[tuple[str, str]]:
    command = [sys.executable, str(ROOT / "main.py"), "engine", "--max-clients", str(n_clients), "--exit-with-stdin"]
    command += ["--checkpoint", checkpoint] if checkpoint else []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise CommandError(EXIT_ENGINE, "The engine did not start.", "What it wrote stands above.")
            ready = json.loads(line)
            yield ready["url"], ready["token"]
        finally:
            process.stdin.close()


async def _talk(url: str, token: str, n_clients: int, rounds: int, questions: Sequence[str]) -> list[Answer]:
    """All ask in the same moment; the next round begins when everybody has been answered."""
    async with contextlib.AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {token}"}
        clients = [
            await stack.enter_async_context(connect(url, additional_headers=headers, max_size=None))
            for _ in range(n_clients)
        ]
        await asyncio.gather(*(_open(client) for client in clients))
        answers: list[Answer] = []
        for round_number in range(rounds + 1):
            question = questions[round_number % len(questions)]
            found = await asyncio.gather(*(_ask(n, client, question) for n, client in enumerate(clients)))
            if round_number:  # the first one warms up
                answers += [answer for answer in found if answer is not None]
    if len(answers) < n_clients:
        raise CommandError(
            EXIT_ENGINE, "Hardly a reply was spoken, so nothing was measured.", "Try another checkpoint."
        )
    return answers


async def _open(client: ClientConnection) -> None:
    await _say(client, "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
    await _until(client, "session.updated")


async def _ask(number: int, client: ClientConnection, question: str) -> Answer | None:
    """None: the reply had no sound."""
    await _say(client, "input_audio_buffer.append", audio=question)
    await _say(client, "input_audio_buffer.commit")
    await _say(client, "response.create")
    asked_s, first_s, last_s, n_chars = time.monotonic(), 0.0, 0.0, 0
    while (event := await _next(client))["type"] != "response.done":
        if event["type"] == "response.output_audio.delta":
            last_s = time.monotonic()
            first_s = first_s or last_s
            n_chars += len(event["delta"])
    if not n_chars:
        return None
    return Answer(number, first_s - asked_s, last_s - first_s, n_chars * 3 / 4 / 2 / RATE_HZ)


async def _say(client: ClientConnection, kind: str, **fields: Any) -> None:
    await client.send(json.dumps({"type": kind, **fields}))


async def _until(client: ClientConnection, kind: str) -> None:
    while (await _next(client))["type"] != kind:
        pass


async def _next(client: ClientConnection) -> Json:
    event: Json = json.loads(await asyncio.wait_for(client.recv(), PATIENCE_S))
    if event["type"] == "error":
        raise CommandError(EXIT_ENGINE, f"The engine reports: {event['error']['message']}")
    return event
