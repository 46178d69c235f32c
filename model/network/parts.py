"""The modules of a checkpoint, built from its config before there is any memory for them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from model.checkpoint.config import ModelConfig
from model.network.audio_encoder import AudioEncoder
from model.network.code2wav import Code2Wav
from model.network.code_predictor import CodePredictor
from model.network.talker import Talker
from model.network.thinker import Thinker
from model.network.vision_encoder import VisionEncoder


@dataclass
class Parts:
    """The modules of a checkpoint."""

    thinker: Thinker
    audio_encoder: AudioEncoder
    vision_encoder: VisionEncoder
    talker: Talker | None
    code_predictor: CodePredictor | None
    code2wav: Code2Wav | None

    def modules(self) -> list[nn.Module]:
        """Those that the checkpoint has."""
        everything = (
            self.thinker, self.audio_encoder, self.vision_encoder, self.talker, self.code_predictor, self.code2wav,
        )  # fmt: skip
        return [module for module in everything if module is not None]

    def places(self) -> list[tuple[str, nn.Module, str]]:
        """(group, module, prefix of its tensors) of everything to fill."""
        places: list[tuple[str, nn.Module, str]] = [
            ("thinker", self.thinker, "thinker."),
            ("audio", self.audio_encoder, "thinker.audio_tower."),
            ("vision", self.vision_encoder, "thinker.visual."),
        ]
        if self.talker is not None and self.code_predictor is not None and self.code2wav is not None:
            places += [
                ("talker", self.talker, "talker."),
                ("predictor", self.code_predictor, "talker.code_predictor."),
                ("code2wav", self.code2wav, "code2wav."),
            ]
        return places


def build(config: ModelConfig) -> Parts:
    """All modules without memory (on meta)."""
    talker = config.talker
    with torch.device("meta"):
        return Parts(
            thinker=Thinker(config.thinker.text, talker.accept_hidden_layer if talker else None),
            audio_encoder=AudioEncoder(config.thinker.audio),
            vision_encoder=VisionEncoder(config.thinker.vision),
            talker=Talker(talker) if talker else None,
            code_predictor=CodePredictor(talker.code_predictor, talker.num_code_groups) if talker else None,
            code2wav=Code2Wav(config.code2wav) if config.code2wav else None,
        )
