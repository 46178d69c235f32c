"""A voice that has said its text and misses its end is stopped by its silence; no other silence stops one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from model.conversation.decoding import Spoken
from model.conversation.events import ReplyDone, SpeechDelta
from model.conversation.plain_decoding import Done, PlainSpeaker
from model.conversation.reply import SILENT_FRAMES
from model.flash import Flash
from tests.model.talk import greedy_session

N_TOKENS = 12
LOUD, SILENT = np.full(1920, 0.1, np.float32), np.full(1920, 1e-4, np.float32)


def frames_of(
    flash: Flash, monkeypatch: pytest.MonkeyPatch, loud: Callable[[int], bool], most: int = 80
) -> tuple[int, str]:
    """How many frames a reply of 12 tokens has whose voice never ends, and why it ended."""
    made = 0

    def speak(_: PlainSpeaker, count: int) -> Done[Spoken]:
        nonlocal made
        frames = [LOUD if loud(made + n) else SILENT for n in range(count)]
        made += count
        return Done(Spoken(tuple(frames), has_ended=False))

    monkeypatch.setattr(PlainSpeaker, "speak", speak)
    session = greedy_session(flash, "Be brief.")
    session.read("go on")
    events = list(session.reply(max_tokens=N_TOKENS, max_frames=most))
    done = events[-1]
    assert isinstance(done, ReplyDone)
    return sum(isinstance(event, SpeechDelta) for event in events), done.stats.speech_stop


@pytest.mark.parametrize("variant", ["plain", "hold"])
def test_silence_after_the_text_ends_it(
    variant: str, flash_of: Callable[[str], Flash], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frames_of(flash_of(variant), monkeypatch, lambda n: n < 30) == (30 + SILENT_FRAMES, "silence")


def test_a_pause_is_no_end(flash_of: Callable[[str], Flash], monkeypatch: pytest.MonkeyPatch) -> None:
    pause = range(25, 25 + SILENT_FRAMES - 1)
    assert frames_of(flash_of("plain"), monkeypatch, lambda n: n not in pause) == (80, "length")


def test_silence_before_anything_was_heard_or_while_text_comes_is_no_end(
    flash_of: Callable[[str], Flash], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frames_of(flash_of("plain"), monkeypatch, lambda n: False) == (80, "length")
    assert frames_of(flash_of("plain"), monkeypatch, lambda n: n == 0, most=N_TOKENS) == (N_TOKENS, "length")
