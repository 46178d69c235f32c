"""Conversations through transformers' Qwen3OmniMoeProcessor: `processor_child.py CHECKPOINT OUT`.

It needs torchvision, of which PyPI has only a build against CUDA's torch. The processor uses its Python part alone; the
module that is about its operators would fail beside the CPU's torch, so it is left out here. In a process of its own,
because transformers takes torchvision for much else when it is there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import soundfile
import torch
from PIL import Image

SAMPLES = Path(__file__).parents[2] / "assets" / "samples"


def conversations() -> dict[str, list[dict[str, Any]]]:
    """One user turn each, by name."""
    picture = Image.open(SAMPLES / "table.jpg").convert("RGB")
    found: dict[str, list[dict[str, Any]]] = {"typed": [{"type": "text", "text": "What is your name?"}]}
    for number in (1, 2, 3):
        pcm, _ = soundfile.read(SAMPLES / f"question-{number}.wav", dtype="float32")
        found[f"question-{number}"] = [{"type": "image", "image": picture}, {"type": "audio", "audio": pcm}]
    return found


def main(checkpoint: str, out: str) -> None:
    """Write the processor's inputs of every conversation."""
    sys.modules["torchvision._meta_registrations"] = ModuleType("torchvision._meta_registrations")
    from transformers import Qwen3OmniMoeProcessor

    processor = Qwen3OmniMoeProcessor.from_pretrained(checkpoint)
    made = {}
    for name, content in conversations().items():
        messages = [{"role": "user", "content": content}]
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        images = [part["image"] for part in content if part["type"] == "image"] or None
        sounds = [part["audio"] for part in content if part["type"] == "audio"] or None
        made[name] = dict(processor(text=[text], images=images, audio=sounds, return_tensors="pt"))
    torch.save(made, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
