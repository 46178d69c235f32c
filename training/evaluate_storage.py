"""Does packing the weights change what flash-mini says, or how well it can be understood?

    python -m training.evaluate_storage --checkpoint DIR [--runs DIR] [--items N] [--group N]

The same questions (typed, spoken by voices never trained on, and about pictures, a third each) are answered by our
runtime with the weights as they are, in int8 and in int4. Told: in how many questions the text is the same, the word
error that pocketsphinx has on the speech, and the time it takes to make. Prints a table and writes
`evaluation/storage.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model.conversation.events import ReplyDone, SpeechDelta
from model.conversation.session import Session
from model.flash import Flash, load
from model.quant.load import GROUP
from model.quant.parts import default_policy
from model.quant.storage import backend_for, quantising_storage
from training import config, ear, evaluate
from training.domain import draw
from training.pretrain_seeing import size_of
from training.scenes.render import render
from training.scenes.scene import Clip
from training.scenes.unknown import Strange

_SEED = 78_000
_CPU = torch.device("cpu")
_BITS = {"as published": None, "int8": 8, "int4": 4}


@dataclass(frozen=True)
class Said:
    """One reply: its text, its speech at 24 kHz, the seconds from the question to its end."""

    text: str
    speech: npt.NDArray[np.float32]
    spent_s: float


@dataclass(frozen=True)
class Row:
    """One storage. Word error is against the reply's own text."""

    storage: str
    same_text: float
    word_error: float
    real_time_factor: float
    items: int


def questions(runs: Path, count: int) -> list[evaluate.Item]:
    """`count` questions: a third typed talk, a third typed about a picture, a third spoken."""
    rng = random.Random(_SEED)
    third = count // 3
    typed = [evaluate.to_item(q, None, rng) for q in evaluate.drawn(third, _SEED, draw.TALK)]
    seen = [evaluate.to_item(q, None, rng) for q in evaluate.drawn(third, _SEED + 1, draw.PICTURE)]
    spoken = evaluate.spoken(runs, f"test_storage_{count}", lambda: evaluate.drawn(count - 2 * third, _SEED + 2))
    return [*typed, *seen, *(evaluate.to_item(q, pcm, rng) for q, pcm in spoken)]


def ask(flash: Flash, item: evaluate.Item) -> Said:
    """One question in a conversation of its own."""
    session = Session(flash)
    if isinstance(item.shown, Strange):
        session.see(item.shown.rgb)
    elif item.shown is not None:
        for shot, scene in enumerate(item.shown.scenes if isinstance(item.shown, Clip) else (item.shown,)):
            session.see(render(scene, *size_of(scene), shot=shot)[0], at_s=0.7 * shot)
    if item.pcm is not None:
        session.hear(item.pcm)
    else:
        session.read(item.words)
    started, text, pieces = time.monotonic(), "", []
    for event in session.reply():
        if isinstance(event, SpeechDelta):
            pieces.append(event.samples)
        elif isinstance(event, ReplyDone):
            text = event.text
    speech = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return Said(text, speech, time.monotonic() - started)


def open_as(checkpoint: Path, bits: int | None, group: int) -> Flash:
    """The checkpoint in float32, its large matrices packed."""
    if bits is None:
        return load(checkpoint, device="cpu", dtype="float32")
    policy = default_policy(bits, group)
    storage = quantising_storage(policy, device=_CPU, dtype=torch.float32, backend=backend_for(_CPU))
    return load(checkpoint, device="cpu", dtype="float32", storage=storage)


def measure(name: str, said: list[Said], published: list[Said]) -> Row:
    """A storage's replies beside those of the weights as published."""
    errors = words = 0
    for reply in said:
        wanted = ear.words(reply.text)
        words += len(wanted)
        errors += ear.word_errors(wanted, ear.write_down(reply.speech, config.SAMPLE_RATE_HZ))
    same = sum(a.text == b.text for a, b in zip(said, published, strict=True)) / len(said)
    speech_s = sum(len(reply.speech) for reply in said) / config.SAMPLE_RATE_HZ
    return Row(name, same, errors / max(1, words), sum(r.spent_s for r in said) / max(speech_s, 1e-6), len(said))


def table(rows: list[Row], group: int) -> str:
    """Markdown of the rows."""
    lines = [
        "## Packed weights",
        "",
        f"| storage (groups of {group}) | same text | word error of its speech | real-time factor |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row.storage} | {row.same_text:.0%} of {row.items} | {row.word_error:.3f} | {row.real_time_factor:.2f} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description="What packed weights change in the replies of flash-mini.")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--group", type=int, default=GROUP, help="inputs that share a scale")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    asked = questions(options.runs, options.items)
    rows: list[Row] = []
    published: list[Said] = []
    for name, bits in _BITS.items():
        flash = open_as(options.checkpoint, bits, options.group)
        said = [ask(flash, item) for item in asked]
        published = published or said
        rows.append(measure(name, said, published))
        print(f"{name}: same {rows[-1].same_text:.3f}, word error {rows[-1].word_error:.3f}", flush=True)
        for number, (one, other) in enumerate(zip(said, published, strict=True)):
            if one.text != other.text:
                print(f"    {asked[number].words!r}: {one.text!r} instead of {other.text!r}", flush=True)
    folder = options.runs / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "storage.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    (folder / "storage.md").write_text(table(rows, options.group))
    print(table(rows, options.group))


if __name__ == "__main__":
    main()
