"""Conversations through a Session against the reference's generate(): tokens and codes, greedy, all codebooks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from model.conversation.events import ReplyDone
from model.conversation.session import ReplyStream, Session
from model.flash import Flash
from tests.model.oracle import VARIANTS, Prompt, Reference
from tests.model.talk import greedy_session, noise, picture

MAX_TOKENS = 6
MAX_FRAMES = 9  # a few more than tokens: the end of text and the padding after it are compared too
VARIANTS_COMPARED = [variant for variant in VARIANTS if variant != "small"]


@pytest.fixture(scope="module")
def reference_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], Reference]:
    return cache(lambda variant: Reference(checkpoint_of(variant)))


def spoken(session: Session, stream: ReplyStream) -> tuple[list[int], torch.Tensor]:
    """Tokens and codes of a reply; the codes are taken where the Talker hands them to Code2Wav."""
    codes: list[torch.Tensor] = []
    code2wav = session.flash.code2wav
    assert code2wav is not None
    assert session._last is not None
    handle = code2wav.register_forward_pre_hook(lambda _module, inputs: codes.append(inputs[0].clone()))
    try:
        done = [event for event in stream if isinstance(event, ReplyDone)]
    finally:
        handle.remove()
    assert len(done) == 1
    return session._last.spoken.tokens, torch.cat(codes)


def compare(session: Session, reference: Reference, prompt: Prompt) -> list[int]:
    """Holds the reply to the reference's; returns its tokens. The reference keeps quiet about its last token."""
    expected = reference.reply(prompt, max_tokens=MAX_TOKENS + 1, max_frames=MAX_FRAMES)
    tokens, codes = spoken(session, session.reply(max_tokens=MAX_TOKENS, max_frames=MAX_FRAMES))
    assert tokens == expected.tokens[:MAX_TOKENS]
    assert codes.tolist() == expected.codes.tolist()
    return tokens


@pytest.mark.parametrize("variant", VARIANTS_COMPARED)
def test_text(variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]) -> None:
    reference = reference_of(variant)
    session = greedy_session(flash_of(variant), "Be brief.")
    session.read("What is this?")
    prompt = Prompt(reference.directory).text(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is this?<|im_end|>\n<|im_start|>assistant\n"
    )
    compare(session, reference, prompt)


@pytest.mark.parametrize("variant", VARIANTS_COMPARED)
def test_sound(variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]) -> None:
    reference = reference_of(variant)
    session = greedy_session(flash_of(variant))
    pcm = noise(2.7)
    session.hear(pcm)
    prompt = Prompt(reference.directory).text("<|im_start|>user\n").sound(pcm)
    compare(session, reference, prompt.text("<|im_end|>\n<|im_start|>assistant\n"))


@pytest.mark.parametrize("variant", VARIANTS_COMPARED)
def test_image_and_text(
    variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]
) -> None:
    reference = reference_of(variant)
    session = greedy_session(flash_of(variant))
    session.see(picture(96, 160))
    session.read("Describe it.")
    prompt = Prompt(reference.directory).text("<|im_start|>user\n").image(picture(96, 160))
    compare(session, reference, prompt.text("Describe it.<|im_end|>\n<|im_start|>assistant\n"))


@pytest.mark.parametrize("variant", VARIANTS_COMPARED)
@pytest.mark.parametrize("seconds_per_frame", [0.5, 2.0])
def test_sound_in_video(
    variant: str,
    seconds_per_frame: float,
    flash_of: Callable[[str], Flash],
    reference_of: Callable[[str], Reference],
) -> None:
    reference = reference_of(variant)
    session = greedy_session(flash_of(variant))
    pcm = noise(3.2)
    frames = [picture(64, 96, seed) for seed in range(3)]
    for number, frame in enumerate(frames):
        session.see(frame, at_s=number * seconds_per_frame)
    session.hear(pcm)
    session.read("Now?")
    prompt = Prompt(reference.directory).text("<|im_start|>user\n")
    prompt.sound_in_video(pcm, frames, seconds_per_frame)
    compare(session, reference, prompt.text("Now?<|im_end|>\n<|im_start|>assistant\n"))


@pytest.mark.parametrize("variant", VARIANTS_COMPARED)
def test_two_turns(variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]) -> None:
    reference = reference_of(variant)
    session = greedy_session(flash_of(variant), "Be kind.")
    session.see(picture(64, 64))
    session.read("First.")
    prompt = Prompt(reference.directory).text("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\n")
    prompt.image(picture(64, 64)).text("First.<|im_end|>\n<|im_start|>assistant\n")
    tokens = compare(session, reference, prompt)
    pcm = noise(1.3, seed=1)
    session.hear(pcm)
    prompt.tokens(tokens).text("<|im_end|>\n<|im_start|>user\n").sound(pcm)
    compare(session, reference, prompt.text("<|im_end|>\n<|im_start|>assistant\n"))
