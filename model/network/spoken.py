"""Rows that the Talker reads in every reply."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.checkpoint.config import ModelConfig
from model.checkpoint.tokenizer import ChatTokens
from model.network.talker import Talker
from model.network.thinker import Thinker


@dataclass(frozen=True)
class SpokenConstants:
    """Rows that the Talker reads in every reply; made once when loading."""

    header: Tensor  # [3, H]: the assistant's header
    pad: Tensor  # [1, H]
    bos: Tensor  # [1, H]
    eos: Tensor  # [1, H]
    control: Tensor  # [4, H]: nothink, think_bos, think_eos, codec pad
    codec_bos: Tensor  # [1, H]

    @classmethod
    @torch.inference_mode()
    def of(
        cls, talker: Talker, thinker: Thinker, config: ModelConfig, chat: ChatTokens, device: torch.device
    ) -> SpokenConstants:
        """The rows of one checkpoint that can speak."""
        assert config.talker is not None
        ids = (
            *chat.assistant_header,
            config.tts_pad_token_id,
            config.tts_bos_token_id,
            config.tts_eos_token_id,
        )
        text = talker.text_projection(thinker.embed(torch.tensor(ids, device=device)))
        spoken = config.talker
        codec_ids = (spoken.codec_nothink_id, spoken.codec_think_bos_id, spoken.codec_think_eos_id)
        codec = talker.embed_code(torch.tensor((*codec_ids, spoken.codec_pad_id, spoken.codec_bos_id), device=device))
        return cls(text[:3], text[3:4], text[4:5], text[5:6], codec[:4], codec[4:5])

    def prompt(self, talker: Talker, speaker_id: int) -> Tensor:
        """The part of the Talker's prompt that does not depend on the reply: [8, H]."""
        speaker = talker.embed_code(torch.tensor([speaker_id], device=self.pad.device))
        return torch.cat((self.header, self.pad + self.control[:3], self.pad + speaker, self.bos + self.control[3:4]))
