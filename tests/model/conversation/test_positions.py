"""The token layout and the multimodal positions that a Session gives Thinker and Talker, against the reference's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Qwen2Tokenizer, Qwen3OmniMoeProcessor, WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeConfig
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
    Qwen3OmniMoePreTrainedModelForConditionalGeneration as Reference,
)

from model.bench.random_config import CHAT_TEMPLATE
from model.conversation.session import Session
from model.flash import Flash
from tests.model.oracle import Prompt


def sound(n_samples: int) -> np.ndarray:
    return (np.random.default_rng(n_samples).standard_normal(n_samples) * 0.1).astype(np.float32)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def directory(checkpoint_of: Callable[[str], Path]) -> Path:
    return checkpoint_of("plain")


@pytest.fixture
def recorded(flash: Flash, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[torch.Tensor]]]:
    """The positions of all prefills, of Thinker and Talker."""
    seen: dict[str, list[torch.Tensor]] = {"thinker": [], "talker": []}
    for part, rope in (("thinker", flash.thinker_rope), ("talker", flash.talker_rope)):

        def record(positions: torch.Tensor, *, part: str = part, original: Any = rope.multimodal) -> Any:
            seen[part].append(positions.clone())
            return original(positions)

        monkeypatch.setattr(rope, "multimodal", record)
    return seen


def expected_positions(prompt: Prompt, ids: list[int], n_sounds: int | None = None) -> torch.Tensor:
    """get_rope_index of the reference on these ids: [3, n]."""
    config = Qwen3OmniMoeConfig.from_pretrained(prompt.directory).thinker_config
    config.vision_start_token_id = prompt.config.thinker.vision_start_token_id
    model = SimpleNamespace(config=config, spatial_merge_size=prompt.config.thinker.vision.spatial_merge_size)
    model.get_llm_pos_ids_for_vision = partial(Reference.get_llm_pos_ids_for_vision, model)
    tokens = torch.tensor([ids])
    positions, _ = Reference.get_rope_index(
        model,
        tokens,
        torch.tensor(prompt.image_grids) if prompt.image_grids else None,
        torch.tensor(prompt.video_grids) if prompt.video_grids else None,
        torch.ones_like(tokens),
        bool(prompt.video_grids),
        torch.tensor([len(pcm) // 160 for pcm in prompt.sounds[:n_sounds]]),
        torch.tensor(prompt.seconds_per_grid),
    )
    return positions[:, 0]


def check(session: Session, recorded: dict[str, list[torch.Tensor]], prompt: Prompt, user_ids: list[int]) -> None:
    """Opens a reply, so that everything is read, and compares the positions of prompt and user turns."""
    session.reply(max_tokens=1, speech=False).close()
    thinker = torch.cat(recorded["thinker"], dim=1)
    expected = expected_positions(prompt, prompt.ids)
    assert thinker.shape == expected.shape
    assert torch.equal(thinker, expected)
    talker = torch.cat(recorded["talker"], dim=1)
    assert torch.equal(talker, expected_positions(prompt, user_ids))


def start(directory: Path, instructions: str) -> tuple[Prompt, int]:
    """A prompt with its system turn, and where the user's turn begins."""
    prompt = Prompt(directory)
    if instructions:
        prompt.text(f"<|im_start|>system\n{instructions}<|im_end|>\n")
    return prompt, len(prompt.ids)


def finish(prompt: Prompt, at: int) -> list[int]:
    """Closes the user's turn; returns the ids that the Talker reads."""
    user_ids = prompt.text("<|im_end|>\n").ids[at:]
    prompt.text("<|im_start|>assistant\n")
    return user_ids


def test_prompts_are_what_the_references_processor_makes(directory):
    """The prompts that this and the other parity tests compare with, against Qwen3OmniMoeProcessor itself."""

    class Processor(Qwen3OmniMoeProcessor):
        """Without a video processor, which needs torchvision."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name != "video_processor":
                return super().check_argument_for_proper_class(argument_name, argument)
            return None

    processor = Processor(
        Qwen2VLImageProcessorPil.from_pretrained(directory),
        None,
        WhisperFeatureExtractor.from_pretrained(directory),
        Qwen2Tokenizer.from_pretrained(directory),
        chat_template=CHAT_TEMPLATE,
    )
    rgb, pcm = picture(64, 96), sound(23_456)
    content = [{"type": "image"}, {"type": "audio"}, {"type": "text", "text": "What is this?"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    expected = processor(text=[text], images=[Image.fromarray(rgb)], audio=[pcm], return_tensors="pt")
    prompt, at = start(directory, "Be brief.")
    prompt.text("<|im_start|>user\n").image(rgb).sound(pcm).text("What is this?")
    finish(prompt, at)
    inputs = prompt.inputs()
    assert inputs.keys() - {"use_audio_in_video"} <= expected.keys()
    for name, value in inputs.items():
        assert value.shape == expected[name].shape
        assert (value.float() - expected[name].float()).abs().max() < 1e-5, name


def test_text_only(flash, directory, recorded):
    session = Session(flash, "Be brief.")
    session.read("What is this?")
    prompt, at = start(directory, "Be brief.")
    prompt.text("<|im_start|>user\nWhat is this?")
    check(session, recorded, prompt, finish(prompt, at))


PARTS = st.lists(
    st.one_of(
        st.tuples(st.just("picture"), st.integers(30, 200), st.integers(30, 200)),
        st.tuples(st.just("text"), st.sampled_from(["Hi.", "What is on the left of it?"])),
        st.tuples(st.just("sound"), st.integers(300, 70_000)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=PARTS, instructions=st.sampled_from(["", "Be brief."]))
def test_pictures_text_and_sound_in_any_order(flash, directory, recorded, parts, instructions):
    for positions in recorded.values():
        positions.clear()
    session = Session(flash, instructions)
    prompt, at = start(directory, instructions)
    prompt.text("<|im_start|>user\n")
    for kind, *sizes in parts:
        if kind == "picture":
            rgb = picture(*sizes)
            session.see(rgb)
            session.commit()  # it stands for itself, whatever comes next
            prompt.image(rgb)
        elif kind == "text":
            session.read(sizes[0])
            prompt.text(sizes[0])
        else:
            session.hear(sound(sizes[0]))
            session.commit()
            prompt.sound(sound(sizes[0]))
    check(session, recorded, prompt, finish(prompt, at))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n_samples=st.integers(1_000, 80_000),
    n_pictures=st.integers(1, 4),
    seconds=st.sampled_from([0.5, 1.0, 1.25, 2.0, 3.0]),
    size=st.tuples(st.integers(30, 200), st.integers(30, 200)),
)
def test_sound_with_pictures_in_it(flash, directory, recorded, n_samples, n_pictures, seconds, size):
    for positions in recorded.values():
        positions.clear()
    pcm, frames = sound(n_samples), [picture(*size) for _ in range(n_pictures)]
    session = Session(flash, "")
    for number, rgb in enumerate(frames):
        session.see(rgb, at_s=number * seconds)
    session.hear(pcm)
    session.read("Now?")
    prompt, at = start(directory, "")
    prompt.text("<|im_start|>user\n").sound_in_video(pcm, frames, seconds)
    prompt.text("Now?")
    check(session, recorded, prompt, finish(prompt, at))
