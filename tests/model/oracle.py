"""The reference implementation on the same checkpoint directory, and prompts in its input format."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tokenizers import Tokenizer

from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import make_tokenizer, random_config
from model.checkpoint.config import ModelConfig, load_config
from model.network.images import ImageSettings, preprocess

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

RATE_HZ = 16_000

# Head counts, experts, top-k, dense layers, biases, DeepStack indexes, codebooks and sizes that divide nothing nicely.
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "odd": {
        "thinker": {
            "hidden_size": 36,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "head_dim": 12,
            "rope_scaling": {"rope_type": "default", "mrope_section": [2, 2, 2]},
            "num_experts": 5,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 22,
            "num_hidden_layers": 3,
            "norm_topk_prob": False,
        },
        "talker": {
            "hidden_size": 28,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "num_experts": 3,
            "num_experts_per_tok": 1,
            "norm_topk_prob": False,
            "shared_expert_intermediate_size": 14,
            "num_hidden_layers": 1,
        },
        "predictor": {"num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": 6, "num_hidden_layers": 1},
        "vision": {"deepstack_visual_indexes": [1], "depth": 2},
        "code2wav": {"codebook_size": 50},
        "code_groups": 2,
        "accept_hidden_layer": 3,
    },
    "small": {  # for tests of thousands of turns
        "thinker": {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 1, "num_key_value_heads": 1},
        "talker": {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 1, "num_key_value_heads": 1},
        "predictor": {"num_hidden_layers": 1},
        "vision": {"depth": 1, "deepstack_visual_indexes": [0]},
        "audio": {"encoder_layers": 1},
        "code_groups": 2,
        "accept_hidden_layer": 1,
    },
    "dense": {
        "thinker": {
            "num_hidden_layers": 5,
            "decoder_sparse_step": 2,
            "mlp_only_layers": [3],
            "attention_bias": True,
            "num_key_value_heads": 4,
            "num_experts": 16,
            "num_experts_per_tok": 4,
        },
        "talker": {"attention_bias": True, "num_key_value_heads": 4, "shared_expert_intermediate_size": 0},
        "vision": {"deepstack_visual_indexes": [0, 1, 3]},
        "code_groups": 6,
        "accept_hidden_layer": 0,
    },
}


def make_checkpoint(directory: Path, variant: str, *, hold: bool = False, seed: int = 0, n_shards: int = 1) -> Path:
    """A random checkpoint of one of the variants."""
    tokenizer = make_tokenizer(hold=hold)
    config = random_config(tokenizer, **VARIANTS[variant])
    return write_random_checkpoint(directory, config, tokenizer, seed=seed, n_shards=n_shards)


@dataclass
class Prompt:
    """Token ids and media of a conversation, as the reference's processor would make them."""

    directory: Path
    ids: list[int] = field(default_factory=list)
    sounds: list[npt.NDArray[np.float32]] = field(default_factory=list)
    image_patches: list[torch.Tensor] = field(default_factory=list)
    image_grids: list[list[int]] = field(default_factory=list)
    video_patches: list[torch.Tensor] = field(default_factory=list)
    video_grids: list[list[int]] = field(default_factory=list)
    seconds_per_grid: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config: ModelConfig = load_config(self.directory)
        self.tokenizer = Tokenizer.from_file(str(self.directory / "tokenizer.json"))
        self.settings = ImageSettings.load(self.directory, self.config.thinker.vision)

    def text(self, text: str) -> Prompt:
        """Text with the chat format's special tokens in it."""
        self.ids += self.tokenizer.encode(text, add_special_tokens=False).ids
        return self

    def tokens(self, ids: list[int]) -> Prompt:
        self.ids += ids
        return self

    def n_sound_tokens(self, pcm: npt.NDArray[np.float32]) -> int:
        frames, chunk = len(pcm) // 160, 2 * self.config.thinker.audio.n_window
        rest = frames % chunk
        for _ in range(3):
            rest = (rest - 1) // 2 + 1
        return frames // chunk * 13 + rest

    def sound(self, pcm: npt.NDArray[np.float32]) -> Prompt:
        """Sound alone."""
        self.sounds.append(pcm)
        return self.text("<|audio_start|>" + "<|audio_pad|>" * self.n_sound_tokens(pcm) + "<|audio_end|>")

    def image(self, rgb: npt.NDArray[np.uint8]) -> Prompt:
        """A picture alone."""
        picture = preprocess(rgb, self.settings)
        self.image_patches.append(picture.patches)
        self.image_grids.append([picture.grid.t, picture.grid.h, picture.grid.w])
        n_tokens = picture.grid.n_tokens(self.settings.merge_size)
        return self.text("<|vision_start|>" + "<|image_pad|>" * n_tokens + "<|vision_end|>")

    def sound_in_video(
        self, pcm: npt.NDArray[np.float32], frames: list[npt.NDArray[np.uint8]], seconds_per_frame: float
    ) -> Prompt:
        """Pictures in one span with sound, each a temporal patch of its own, interleaved as the processor does it."""
        pictures = [preprocess(frame, self.settings) for frame in frames]
        grid = pictures[0].grid
        self.sounds.append(pcm)
        self.video_patches.append(torch.cat([picture.patches for picture in pictures]))
        self.video_grids.append([len(frames), grid.h, grid.w])
        self.seconds_per_grid.append(seconds_per_frame)
        from transformers import Qwen3OmniMoeProcessor

        class Settings:
            audio_bos_token, audio_eos_token = "<|audio_start|>", "<|audio_end|>"
            audio_token, video_token = "<|audio_pad|>", "<|video_pad|>"

            class video_processor:  # noqa: N801 - the reference's attribute
                merge_size = self.settings.merge_size

        middle = Qwen3OmniMoeProcessor.replace_video_with_audio_token(
            Settings(),
            {"video_grid_thw": np.array(self.video_grids[-1:]), "video_second_per_grid": [seconds_per_frame]},
            0,
            {"num_audio_tokens": [self.n_sound_tokens(pcm)]},
            0,
            position_id_per_seconds=self.config.thinker.position_id_per_seconds,
        )
        return self.text("<|vision_start|>" + middle + "<|vision_end|>")

    def inputs(self) -> dict[str, Any]:
        """Keyword arguments of the reference's generate()."""
        ids = torch.tensor([self.ids])
        inputs: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if self.sounds:
            from transformers import WhisperFeatureExtractor

            extractor = WhisperFeatureExtractor.from_pretrained(self.directory)
            out = extractor(
                self.sounds,
                sampling_rate=RATE_HZ,
                padding=True,
                truncation=False,
                return_attention_mask=True,
                return_tensors="pt",
            )
            inputs |= {"input_features": out["input_features"], "feature_attention_mask": out["attention_mask"]}
        if self.image_patches:
            inputs |= {
                "pixel_values": torch.cat(self.image_patches),
                "image_grid_thw": torch.tensor(self.image_grids),
            }
        if self.video_patches:
            inputs |= {
                "pixel_values_videos": torch.cat(self.video_patches),
                "video_grid_thw": torch.tensor(self.video_grids),
                "video_second_per_grid": torch.tensor(self.seconds_per_grid),
                "use_audio_in_video": True,
                # generate() forgets to tell the Talker, whose positions would then not be those of the Thinker.
                "talker_use_audio_in_video": True,
            }
        return inputs


@dataclass(frozen=True)
class ReferenceReply:
    """What the reference generated greedily."""

    tokens: list[int]  # without the prompt and the end of the turn
    codes: torch.Tensor  # [frames, codebooks]


class Reference:
    """The reference model of a checkpoint directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = transformers.Qwen3OmniMoeForConditionalGeneration.from_pretrained(
                directory, dtype=torch.float32, experts_implementation="eager"
            ).eval()
        # The Talker computes the positions of sound with the audio encoder's config, which its own config lacks.
        self.model.talker.config.audio_config = self.model.config.thinker_config.audio_config

    def reply(self, prompt: Prompt, *, max_tokens: int, max_frames: int) -> ReferenceReply:
        """Greedy text and codes. The reference does not speak the last token when the limit ends the text."""
        n_prompt = len(prompt.ids)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            captured: list[torch.Tensor] = []
            decode = self.model.code2wav.chunked_decode
            self.model.code2wav.chunked_decode = lambda codes, **_: captured.append(codes) or torch.zeros(1, 1, 1)
            try:
                sequence, _ = self.model.generate(
                    **prompt.inputs(),
                    thinker_max_new_tokens=max_tokens,
                    thinker_eos_token_id=prompt.config.im_end_token_id,
                    talker_max_new_tokens=max_frames + 1,
                    talker_do_sample=False,
                )
            finally:
                self.model.code2wav.chunked_decode = decode
        tokens = sequence[0, n_prompt:].tolist()
        if tokens[-1] == prompt.config.im_end_token_id:
            tokens.pop()
        return ReferenceReply(tokens, captured[0][0].T)
