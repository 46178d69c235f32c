"""The shipped checkpoint: transformers loads it whole, and says and speaks what our runtime does."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch
import transformers
from PIL import Image

from commands.serve import DEFAULT_CHECKPOINT
from model.conversation.session import Session
from model.flash import Flash, load
from tests.model.bench.test_reference import spoken
from tests.model.oracle import RATE_HZ, Prompt, Reference

pytestmark = pytest.mark.slow

SAMPLES = DEFAULT_CHECKPOINT.parent / "samples"
TORCHVISION = Path(sys.prefix) / "torchvision"  # scripts/setup puts it there
MAX_TOKENS = 60
MAX_FRAMES = 90
SIZE_LIMIT_BYTES = 60_000_000


@pytest.fixture(scope="module")
def flash() -> Flash:
    return load(DEFAULT_CHECKPOINT, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(DEFAULT_CHECKPOINT)


@cache
def question(number: int) -> npt.NDArray[np.float32]:
    pcm, rate_hz = soundfile.read(SAMPLES / f"question-{number}.wav", dtype="float32")
    assert rate_hz == RATE_HZ
    return np.asarray(pcm)


@cache
def table() -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(SAMPLES / "table.jpg").convert("RGB"))


class Processed(Prompt):
    """A conversation as transformers' own processor makes it."""

    def __init__(self, inputs: dict[str, torch.Tensor]) -> None:
        super().__init__(DEFAULT_CHECKPOINT, ids=inputs["input_ids"][0].tolist())
        self._inputs = inputs

    def inputs(self) -> dict[str, Any]:
        return self._inputs


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Processed]:
    """The conversations of `processor_child`. In a process of its own, with torchvision from beside the packages."""
    out = tmp_path_factory.mktemp("processor") / "inputs.pt"
    environment = {**os.environ, "PYTHONPATH": str(TORCHVISION)}
    command = [sys.executable, str(Path(__file__).with_name("processor_child.py")), str(DEFAULT_CHECKPOINT), str(out)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    return {name: Processed(inputs) for name, inputs in torch.load(out, weights_only=True).items()}


def compare(session: Session, reference: Reference, prompt: Prompt) -> None:
    expected = reference.reply(prompt, max_tokens=MAX_TOKENS, max_frames=MAX_FRAMES)
    stream = session.reply(max_tokens=MAX_TOKENS, max_frames=MAX_FRAMES)
    tokens, codes = spoken(session, stream)
    assert tokens == expected.tokens
    assert codes.tolist() == expected.codes.tolist()
    assert len(tokens) < MAX_TOKENS - 1  # it came to its end
    assert len(codes) < MAX_FRAMES


def test_everything_is_loaded_and_nothing_left_over() -> None:
    _, report = transformers.Qwen3OmniMoeForConditionalGeneration.from_pretrained(
        DEFAULT_CHECKPOINT, dtype=torch.bfloat16, output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in DEFAULT_CHECKPOINT.iterdir()) <= SIZE_LIMIT_BYTES


def test_typed(flash: Flash, reference: Reference, processed: dict[str, Processed]) -> None:
    session = Session(flash, "")
    session.read("What is your name?")
    compare(session, reference, processed["typed"])


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_spoken_question_about_a_picture(
    flash: Flash, reference: Reference, processed: dict[str, Processed], number: int
) -> None:
    session = Session(flash, "")
    session.see(table())
    session.commit()
    session.hear(question(number))
    compare(session, reference, processed[f"question-{number}"])


def test_the_camera_while_the_user_speaks(flash: Flash, reference: Reference) -> None:
    session = Session(flash, "")
    for shot in range(2):
        session.see(table(), at_s=float(shot))
    session.hear(question(1))
    prompt = Prompt(DEFAULT_CHECKPOINT).text("<|im_start|>user\n").sound_in_video(question(1), [table()] * 2, 1.0)
    compare(session, reference, prompt.text("<|im_end|>\n<|im_start|>assistant\n"))
