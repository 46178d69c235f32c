"""What the hearing half's stages share: building modules from `training.config`, and saving to go on later."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from training import config, vision
from training.voice_loop import keep_memory

SAVE_EVERY_S = 120.0


def make_audio_tower() -> Any:
    """A new audio encoder with the reference's class."""
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as reference
    from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeAudioEncoderConfig

    tower = reference.Qwen3OmniMoeAudioEncoder(Qwen3OmniMoeAudioEncoderConfig(**config.audio_config()))
    # The reference's 0.02 lets almost nothing through three convolutions.
    for convolution in (tower.conv2d1, tower.conv2d2, tower.conv2d3):
        torch.nn.init.kaiming_normal_(convolution.weight)
    torch.nn.init.xavier_normal_(tower.conv_out.weight)
    for layer in tower.layers:
        for name, parameter in layer.named_parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.03 if "out_proj" in name or "fc2" in name else 0.06)
    for projection in (tower.proj1, tower.proj2):
        torch.nn.init.normal_(projection.weight, std=0.06)
    return tower


def make_thinker() -> Any:
    """A new Thinker (encoders and decoder) with the reference's class; its text embedding is the fixed table."""
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as reference
    from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeThinkerConfig

    settings = {key: value for key, value in config.thinker_config().items() if key != "model_type"}
    thinker = reference.Qwen3OmniMoeThinkerForConditionalGeneration(Qwen3OmniMoeThinkerConfig(**settings))
    for name, parameter in thinker.named_parameters():
        inside = "language_model" in name and parameter.ndim >= 2 and "embed_tokens" not in name
        if inside and "gate.weight" not in name:  # the reference's 0.02 is for models many times as wide
            torch.nn.init.normal_(parameter, std=0.03 if "o_proj" in name or "down_proj" in name else 0.06)
    thinker.model.audio_tower.load_state_dict(make_audio_tower().state_dict())
    thinker.model.visual.load_state_dict(vision.make_tower().state_dict())
    embedding = thinker.model.language_model.embed_tokens.weight
    with torch.no_grad():
        embedding.copy_(config.text_embedding())
    embedding.requires_grad_(False)
    return thinker


def add_options(parser: argparse.ArgumentParser, *, minutes: float) -> None:
    """The options that every training stage has."""
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS, help="where the stages keep their files")
    parser.add_argument("--minutes", type=float, default=minutes, help="how long to train; it goes on the next time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the trainer")
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches; 0: the trainer does")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")


def begin(options: argparse.Namespace) -> torch.device:
    """Seeds and thread counts; the device to train on."""
    keep_memory()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(config.SEED)
    return torch.device(options.device)


class Saver:
    """Saves the parts of a stage in one file, and restores them. The file is replaced at once, never half written."""

    def __init__(self, path: Path, parts: dict[str, Any]) -> None:
        self._path = path
        self._parts = parts
        self._saved_at = time.monotonic()

    def restore(self) -> int:
        """The step to go on from; 0 without a file."""
        if not self._path.exists():
            return 0
        state = torch.load(self._path, map_location="cpu", weights_only=True)
        for name, part in self._parts.items():
            if name not in state and hasattr(part, "step"):
                print(f"{self._path} holds no {name}; it starts anew", flush=True)
                continue
            part.load_state_dict(state[name])
            if isinstance(part, torch.optim.AdamW):
                for group in part.param_groups:  # a state saved by the slow way would bring it back
                    group["fused"] = part.defaults["fused"]
        print(f"going on from step {state['step']} of {self._path}", flush=True)
        return int(state["step"])

    def maybe(self, step: int) -> None:
        """Save when the last time was a while ago."""
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self.save(step)

    def save(self, step: int) -> None:
        """Save now."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in self._parts.items()}
        waiting = self._path.with_suffix(".new")
        torch.save({"step": step, **state}, waiting)
        waiting.replace(self._path)
        self._saved_at = time.monotonic()


def load_part_of(path: Path, name: str) -> dict[str, torch.Tensor]:
    """One part of a saved stage. Raises FileNotFoundError that says which stage makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run the stage that makes it first (see training/README.md)")
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)[name]
    return state
