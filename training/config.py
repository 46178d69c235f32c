"""Sizes, token ids and the published configuration of flash-mini; the one place both halves read them from.

The dictionaries have the keys of the published `config.json` of Qwen3-Omni (so that our runtime and
`transformers` read them alike); the numbers are small enough to train on two CPU cores. Token ids come from
`training.text`, whose tokenizer is built by rule.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from training import text

DEFAULT_RUNS = Path("runs")
SEED = 20240817
# Whole turns of a conversation that the checkpoint can carry, the present one included; 0: all that fit.
CONVERSATION_TURNS = 12

# --- Thinker and its encoders (the hearing half) ---------------------------------------------------------------
HIDDEN = 256
HEAD_DIM = 64
MROPE_SECTION = [12, 10, 10]  # adds up to HEAD_DIM / 2
THINKER_LAYERS = 4
ACCEPT_HIDDEN_LAYER = 2
POSITIONS_PER_SECOND = 13

# --- the voice ----------------------------------------------------------------------------------------------
SAMPLE_RATE_HZ = 24_000
SAMPLES_PER_CODEC_FRAME = 1920
CODEBOOK_SIZE = 512
CODE_GROUPS = 4
TALKER_LAYERS = 3
# generate() suppresses the top 1024 ids of the Talker's vocabulary, so its special ids have to lie there.
TALKER_VOCAB = CODEBOOK_SIZE + 1024
CODEC_PAD, CODEC_BOS, CODEC_EOS, CODEC_NOTHINK, CODEC_THINK_BOS, CODEC_THINK_EOS = range(512, 518)
SPEAKERS = {"ethan": 518, "chelsie": 519}  # default first
FLITE_VOICE_OF_SPEAKER = {"ethan": "rms", "chelsie": "slt"}

# Standard deviation of the frozen random rows of the Thinker's text embedding.
TEXT_EMBEDDING_STD = 1.0
TEXT_EMBEDDING_SEED = 1203


def text_embedding() -> torch.Tensor:
    """The Thinker's text embedding table, fixed and shared by both halves: float32 [vocabulary, HIDDEN].

    Values are rounded to bfloat16, so that the exported table is exactly the one trained against.
    """
    generator = torch.Generator().manual_seed(TEXT_EMBEDDING_SEED)
    table = torch.randn(text.VOCAB_SIZE, HIDDEN, generator=generator) * TEXT_EMBEDDING_STD
    return table.bfloat16().float()


def _rope() -> dict[str, Any]:
    return {
        "rope_theta": 1_000_000,
        "rope_scaling": {
            "interleaved": True,
            "mrope_interleaved": True,
            "mrope_section": MROPE_SECTION,
            "rope_type": "default",
            "type": "default",
        },
    }


def audio_config() -> dict[str, Any]:
    """The audio encoder (hearing half)."""
    return {
        "model_type": "qwen3_omni_moe_audio_encoder",
        "activation_dropout": 0,
        "activation_function": "gelu",
        "attention_dropout": 0,
        "conv_chunksize": 500,
        "d_model": 256,
        "downsample_hidden_size": 32,
        "dropout": 0,
        "encoder_attention_heads": 4,
        "encoder_ffn_dim": 1024,
        "encoder_layers": 4,
        "initializer_range": 0.02,
        "max_source_positions": 1500,
        "n_window": 50,
        "n_window_infer": 200,  # 2 s, the window the runtime listens in
        "num_mel_bins": 128,
        "output_dim": HIDDEN,
        "scale_embedding": False,
    }


def vision_config() -> dict[str, Any]:
    """The vision encoder (hearing half)."""
    return {
        "model_type": "qwen3_omni_moe_vision_encoder",
        "apply_vit_abs_pos_embed": True,
        "deepstack_visual_indexes": [0, 1],
        "depth": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": 192,
        "image_size": 224,
        "in_channels": 3,
        "in_chans": 3,
        "initializer_range": 0.02,
        "intermediate_size": 576,
        "num_heads": 4,
        "num_position_embeddings": 196,
        "out_hidden_size": HIDDEN,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "spatial_patch_size": 16,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
    }


def thinker_text_config() -> dict[str, Any]:
    """The Thinker's decoder (hearing half)."""
    return {
        "model_type": "qwen3_omni_moe_text",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "decoder_sparse_step": 1,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 512,
        "max_position_embeddings": 8192,
        "mlp_only_layers": [],
        "moe_intermediate_size": 256,
        "norm_topk_prob": True,
        "num_attention_heads": 4,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_hidden_layers": THINKER_LAYERS,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "shared_expert_intermediate_size": 0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "use_cache": True,
        "use_qk_norm": True,
        "vocab_size": text.VOCAB_SIZE,
        **_rope(),
    }


def thinker_config() -> dict[str, Any]:
    """The whole Thinker: encoders, decoder and the ids of the places where sound and pictures go."""
    return {
        "model_type": "qwen3_omni_moe_thinker",
        "audio_config": audio_config(),
        "vision_config": vision_config(),
        "text_config": thinker_text_config(),
        "audio_start_token_id": text.AUDIO_START,
        "audio_end_token_id": text.AUDIO_END,
        "audio_token_id": text.AUDIO_PAD,
        "image_token_id": text.IMAGE_PAD,
        "video_token_id": text.VIDEO_PAD,
        "vision_start_token_id": text.VISION_START,
        "vision_end_token_id": text.VISION_END,
        "user_token_id": text.USER,
        "initializer_range": 0.02,
        "position_id_per_seconds": POSITIONS_PER_SECOND,
        "seconds_per_chunk": 2,
        "dtype": "bfloat16",
    }


def talker_text_config() -> dict[str, Any]:
    """The Talker's decoder."""
    return {
        "model_type": "qwen3_omni_moe_talker_text",
        "attention_bias": False,
        "attention_dropout": 0,
        "decoder_sparse_step": 1,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 512,
        "max_position_embeddings": 8192,
        "mlp_only_layers": [],
        "moe_intermediate_size": 128,
        "norm_topk_prob": True,
        "num_attention_heads": 4,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_hidden_layers": TALKER_LAYERS,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "shared_expert_intermediate_size": 256,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "use_cache": True,
        "vocab_size": TALKER_VOCAB,
        **_rope(),
    }


def code_predictor_config() -> dict[str, Any]:
    """The code predictor: codebooks 2 to CODE_GROUPS of a codec frame, one after the other."""
    layers = 1
    return {
        "model_type": "qwen3_omni_moe_talker_code_predictor",
        "attention_bias": False,
        "attention_dropout": 0,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 384,
        "layer_types": ["full_attention"] * layers,
        "max_position_embeddings": 64,
        "max_window_layers": layers,
        "num_attention_heads": 4,
        "num_code_groups": CODE_GROUPS,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1_000_000,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": CODEBOOK_SIZE,
    }


def talker_config() -> dict[str, Any]:
    """The whole Talker with its special codec ids and speakers."""
    return {
        "model_type": "qwen3_omni_moe_talker",
        "accept_hidden_layer": ACCEPT_HIDDEN_LAYER,
        "audio_start_token_id": text.AUDIO_START,
        "audio_end_token_id": text.AUDIO_END,
        "audio_token_id": text.AUDIO_PAD,
        "image_token_id": text.IMAGE_PAD,
        "video_token_id": text.VIDEO_PAD,
        "vision_start_token_id": text.VISION_START,
        "code_predictor_config": code_predictor_config(),
        "text_config": talker_text_config(),
        "codec_bos_id": CODEC_BOS,
        "codec_eos_token_id": CODEC_EOS,
        "codec_nothink_id": CODEC_NOTHINK,
        "codec_pad_id": CODEC_PAD,
        "codec_think_bos_id": CODEC_THINK_BOS,
        "codec_think_eos_id": CODEC_THINK_EOS,
        "num_code_groups": CODE_GROUPS,
        "output_router_logits": False,
        "position_id_per_seconds": POSITIONS_PER_SECOND,
        "seconds_per_chunk": 2,
        "spatial_merge_size": 2,
        "speaker_id": dict(SPEAKERS),
        "thinker_hidden_size": HIDDEN,
    }


def code2wav_config() -> dict[str, Any]:
    """Code2Wav: codec frames to samples, x1920."""
    return {
        "model_type": "qwen3_omni_moe_code2wav",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "codebook_dim": 64,
        "codebook_size": CODEBOOK_SIZE,
        "decoder_dim": 128,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 512,
        "layer_scale_initial_scale": 0.01,
        "max_position_embeddings": 8000,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 4,
        "num_quantizers": CODE_GROUPS,
        "num_semantic_quantizers": 1,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10_000,
        "semantic_codebook_size": CODEBOOK_SIZE,
        "sliding_window": 72,
        "upsample_rates": [5, 4, 4, 6],
        "upsampling_ratios": [2, 2],
        "vector_quantization_hidden_dimension": 64,
    }


# Pictures are scaled between these areas, which gives at most 48 positions (a 4:3 picture exactly 48).
PICTURE_MIN_PIXELS, PICTURE_MAX_PIXELS = 36 * 32 * 32, 48 * 32 * 32


def omni_config() -> dict[str, Any]:
    """The complete published `config.json`."""
    return {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "dtype": "bfloat16",
        "enable_audio_output": True,
        "assistant_token_id": text.ASSISTANT,
        "system_token_id": text.SYSTEM,
        "user_token_id": text.USER,
        "im_start_token_id": text.IM_START,
        "im_end_token_id": text.IM_END,
        "tts_bos_token_id": text.TTS_BOS,
        "tts_eos_token_id": text.TTS_EOS,
        "tts_pad_token_id": text.TTS_PAD,
        "code2wav_config": code2wav_config(),
        "talker_config": talker_config(),
        "thinker_config": thinker_config(),
    }
