"""What another program plays is told from the user by its loudness over time, whatever its way and delay."""

from __future__ import annotations

import numpy as np
import pytest

from audio_io.bench import convolve, room
from audio_io.blocks import BLOCK_SAMPLES, Samples
from audio_io.echo_gate import EchoGate
from tests.audio_io.voices import silence, spoken

READER = ("Settings dialog. Answers page tab.", "Microphone check box checked.", "You said: what do you see?")


def passed(near: Samples, far: Samples, counts: Samples) -> float:
    """Share of the blocks with sound in `counts` that pass."""
    gate, kept = EchoGate(), []
    for start in range(0, len(near) - BLOCK_SAMPLES + 1, BLOCK_SAMPLES):
        part = slice(start, start + BLOCK_SAMPLES)
        passes = gate.passes(near[part], far[part])
        if float(np.dot(counts[part], counts[part])) / BLOCK_SAMPLES > 1e-5:
            kept.append(passes)
    return sum(kept) / len(kept)


def reader_and_echo(delay_s: float, seed: int = 0) -> tuple[Samples, Samples]:
    far = np.concatenate([np.concatenate((silence(0.6), spoken(text, "kal"))) for text in READER])
    rng = np.random.default_rng(seed)
    response = room(rng, delay_s, 0.4)
    echo = convolve(far, response / np.sqrt((response**2).sum())) * np.float32(10 ** (-12 / 20))
    return far, echo + rng.normal(0, 3e-4, len(far)).astype(np.float32)


@pytest.mark.parametrize("delay_s", [0.0, 0.06, 0.17, 0.31])
def test_an_echo_does_not_pass_whatever_its_delay(delay_s: float) -> None:
    far, echo = reader_and_echo(delay_s)
    assert passed(echo, far, echo) < 0.03


def test_the_user_passes_while_nothing_plays() -> None:
    user = spoken("Wait, what is on the chair?")
    assert passed(user, np.zeros_like(user), user) == 1.0


def test_the_user_is_heard_over_the_reader() -> None:
    far, echo = reader_and_echo(0.06)
    user = np.resize(spoken("Wait, what is on the chair? Read me the title of the book."), len(far))
    assert passed(echo + user, far, user) > 0.6
