"""Rows that the Talker reads in every reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from model.flash import Flash


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
    def of(cls, flash: Flash) -> SpokenConstants:
        """The rows of this checkpoint."""
        talker, config, device = flash.talker, flash.config, flash.device
        assert talker is not None
        assert config.talker is not None
        ids = (
            *flash.chat.assistant_header,
            config.tts_pad_token_id,
            config.tts_bos_token_id,
            config.tts_eos_token_id,
        )
        text = talker.text_projection(flash.thinker.embed(torch.tensor(ids, device=device)))
        spoken = config.talker
        codec_ids = (spoken.codec_nothink_id, spoken.codec_think_bos_id, spoken.codec_think_eos_id)
        codec = talker.embed_code(torch.tensor((*codec_ids, spoken.codec_pad_id, spoken.codec_bos_id), device=device))
        return cls(text[:3], text[3:4], text[4:5], text[5:6], codec[:4], codec[4:5])

    def prompt(self, flash: Flash, voice: str) -> Tensor:
        """The part of the Talker's prompt that does not depend on the reply: [8, H]."""
        talker, config = flash.talker, flash.config.talker
        assert talker is not None
        assert config is not None
        number = {name.lower(): speaker for name, speaker in config.speaker_id.items()}[voice.lower()]
        speaker = talker.embed_code(torch.tensor([number], device=flash.device))
        return torch.cat((self.header, self.pad + self.control[:3], self.pad + speaker, self.bos + self.control[3:4]))
