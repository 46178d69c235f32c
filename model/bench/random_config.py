"""Configs and processor files for random checkpoints: JSON in the published form, sizes to choose.

The token ids are those of the tokenizer that `tokenizer_json` makes: 256 bytes, the merges that turn the words of
`WORDS` into single tokens, then the format's special tokens.
"""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from model.prompts import HOLD_TOKEN

Json = dict[str, Any]

WORDS = ("user", "assistant", "system")
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|audio_start|>",
    "<|audio_end|>",
    "<|audio_pad|>",
    "<tts_pad>",
    "<tts_text_bos>",
    "<tts_text_eod>",
)
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string %}{{- message.content }}{%- else %}"
    "{%- for part in message.content %}"
    "{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'audio' %}{{- '<|audio_start|><|audio_pad|><|audio_end|>' }}"
    "{%- elif part.type == 'video' %}{{- '<|vision_start|><|video_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'text' %}{{- part.text }}{%- endif %}"
    "{%- endfor %}{%- endif %}"
    "{{- '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def make_tokenizer(*, hold: bool = False) -> Tokenizer:
    """A byte-level tokenizer in the published format, optionally with the hold token of time-aligned text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        for end in range(2, len(word) + 1):
            pair = (word[: end - 1], word[end - 1])
            if word[:end] not in vocabulary:
                vocabulary[word[:end]] = len(vocabulary)
                merges.append(pair)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [*SPECIAL_TOKENS, HOLD_TOKEN] if hold else list(SPECIAL_TOKENS)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return tokenizer


def random_config(
    tokenizer: Tokenizer,
    *,
    thinker: Json | None = None,
    talker: Json | None = None,
    predictor: Json | None = None,
    audio: Json | None = None,
    vision: Json | None = None,
    code2wav: Json | None = None,
    code_groups: int = 4,
    accept_hidden_layer: int = 2,
    speech: bool = True,
    dtype: str = "float32",
) -> Json:
    """A config.json with tiny default sizes; each argument overrides fields of one part."""

    def token(text: str) -> int:
        number = tokenizer.token_to_id(text)
        if number is None:
            raise ValueError(f"the tokenizer has no single token {text!r}")
        return int(number)

    ids = {
        "audio_token_id": token("<|audio_pad|>"),
        "image_token_id": token("<|image_pad|>"),
        "video_token_id": token("<|video_pad|>"),
        "audio_start_token_id": token("<|audio_start|>"),
        "audio_end_token_id": token("<|audio_end|>"),
        "vision_start_token_id": token("<|vision_start|>"),
        "vision_end_token_id": token("<|vision_end|>"),
        "position_id_per_seconds": 13,
        "seconds_per_chunk": 2,
    }
    rope = {"rope_type": "default", "type": "default", "interleaved": True, "mrope_interleaved": True}
    thinker_text = {
        "model_type": "qwen3_omni_moe_text",
        "vocab_size": -(-tokenizer.get_vocab_size() // 64) * 64,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "rope_scaling": {**rope, "mrope_section": [4, 2, 2]},
        "max_position_embeddings": 32768,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
        "norm_topk_prob": True,
        **(thinker or {}),
    }
    wav = {
        "codebook_size": 64,
        "num_quantizers": code_groups,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "attention_bias": False,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000,
        "sliding_window": 72,
        "layer_scale_initial_scale": 0.01,
        "max_position_embeddings": 8000,
        "upsample_rates": [8, 5, 4, 3],
        "upsampling_ratios": [2, 2],
        "decoder_dim": 32,
        **(code2wav or {}),
    }
    codes = int(wav["codebook_size"])
    talker_text = {
        "model_type": "qwen3_omni_moe_talker_text",
        "vocab_size": codes + 1024,
        "hidden_size": 48,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "rope_scaling": {**rope, "mrope_section": [4, 2, 2]},
        "max_position_embeddings": 32768,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "num_experts": 6,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 24,
        "shared_expert_intermediate_size": 40,
        "norm_topk_prob": True,
        **(talker or {}),
    }
    predictor_config = {
        "model_type": "qwen3_omni_moe_talker_code_predictor",
        "vocab_size": codes,
        "hidden_size": talker_text["hidden_size"],
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 1000000,
        "max_position_embeddings": 32768,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "num_code_groups": code_groups,
        **(predictor or {}),
    }
    predictor_config.setdefault("layer_types", ["full_attention"] * int(predictor_config["num_hidden_layers"]))
    hidden = thinker_text["hidden_size"]
    special = codes  # the codec's control tokens follow the codes
    return {
        "architectures": ["Qwen3OmniMoeForConditionalGeneration"],
        "model_type": "qwen3_omni_moe",
        "dtype": dtype,
        "enable_audio_output": speech,
        "im_start_token_id": token("<|im_start|>"),
        "im_end_token_id": token("<|im_end|>"),
        "system_token_id": token("system"),
        "user_token_id": token("user"),
        "assistant_token_id": token("assistant"),
        "tts_pad_token_id": token("<tts_pad>"),
        "tts_bos_token_id": token("<tts_text_bos>"),
        "tts_eos_token_id": token("<tts_text_eod>"),
        "thinker_config": {
            "model_type": "qwen3_omni_moe_thinker",
            "dtype": dtype,
            **ids,
            "user_token_id": token("user"),
            "initializer_range": 0.02,
            "text_config": thinker_text,
            "audio_config": {
                "model_type": "qwen3_omni_moe_audio_encoder",
                "num_mel_bins": 128,
                "d_model": 32,
                "encoder_layers": 2,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 64,
                "activation_function": "gelu",
                "max_source_positions": 1500,
                "n_window": 50,
                "n_window_infer": 200,
                "conv_chunksize": 500,
                "downsample_hidden_size": 8,
                "output_dim": hidden,
                "scale_embedding": False,
                **(audio or {}),
            },
            "vision_config": {
                "model_type": "qwen3_omni_moe_vision_encoder",
                "depth": 4,
                "hidden_size": 32,
                "hidden_act": "gelu_pytorch_tanh",
                "intermediate_size": 48,
                "num_heads": 2,
                "in_channels": 3,
                "patch_size": 16,
                "spatial_merge_size": 2,
                "temporal_patch_size": 2,
                "out_hidden_size": hidden,
                "num_position_embeddings": 64,
                "deepstack_visual_indexes": [0, 2],
                **(vision or {}),
            },
        },
        "talker_config": {
            "model_type": "qwen3_omni_moe_talker",
            **ids,
            "accept_hidden_layer": accept_hidden_layer,
            "num_code_groups": code_groups,
            "thinker_hidden_size": hidden,
            "spatial_merge_size": 2,
            "codec_pad_id": special,
            "codec_bos_id": special + 1,
            "codec_eos_token_id": special + 2,
            "codec_nothink_id": special + 7,
            "codec_think_bos_id": special + 8,
            "codec_think_eos_id": special + 9,
            "speaker_id": {"chelsie": special + 20, "ethan": special + 21, "aiden": special + 22},
            "text_config": talker_text,
            "code_predictor_config": predictor_config,
        },
        "code2wav_config": wav,
    }


def mid_config(tokenizer: Tokenizer, *, dtype: str = "float32") -> Json:
    """The mid-size config of the benchmarks: big enough that time goes into arithmetic, small enough for a laptop."""
    sections = {"rope_scaling": {"rope_type": "default", "mrope_section": [12, 10, 10]}, "head_dim": 64}
    return random_config(
        tokenizer,
        thinker={
            **sections,
            "vocab_size": 4096,
            "hidden_size": 512,
            "num_hidden_layers": 8,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "num_experts": 16,
            "num_experts_per_tok": 4,
            "moe_intermediate_size": 256,
        },
        talker={
            **sections,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "num_experts": 16,
            "num_experts_per_tok": 4,
            "moe_intermediate_size": 128,
            "shared_expert_intermediate_size": 256,
        },
        predictor={
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
        },
        audio={
            "d_model": 256,
            "encoder_layers": 4,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 1024,
            "downsample_hidden_size": 64,
        },
        vision={
            "depth": 6,
            "hidden_size": 256,
            "num_heads": 4,
            "intermediate_size": 1024,
            "num_position_embeddings": 256,
            "deepstack_visual_indexes": [1, 3, 4],
        },
        code2wav={
            "codebook_size": 1024,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "decoder_dim": 192,
        },
        code_groups=16,
        accept_hidden_layer=4,
        dtype=dtype,
    )


def processor_files(*, hold: bool = False) -> dict[str, Json]:
    """The JSON files that the reference's processor reads beside config.json and tokenizer.json."""
    special = [*SPECIAL_TOKENS, HOLD_TOKEN] if hold else list(SPECIAL_TOKENS)
    return {
        "generation_config.json": {
            "talker_do_sample": True,
            "talker_max_new_tokens": 4096,
            "talker_repetition_penalty": 1.05,
            "talker_temperature": 0.9,
            "talker_top_k": 50,
            "talker_top_p": 1.0,
            "thinker_do_sample": False,
            "thinker_max_new_tokens": 1024,
        },
        "preprocessor_config.json": {
            "processor_class": "Qwen3OmniMoeProcessor",
            "feature_extractor_type": "WhisperFeatureExtractor",
            "image_processor_type": "Qwen2VLImageProcessor",
            "feature_size": 128,
            "sampling_rate": 16000,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": 300,
            "n_samples": 4800000,
            "nb_max_frames": 30000,
            "padding_side": "right",
            "padding_value": 0.0,
            "dither": 0.0,
            "return_attention_mask": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "min_pixels": 3136,
            "max_pixels": 12845056,
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
        },
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "processor_class": "Qwen3OmniMoeProcessor",
            "add_prefix_space": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "model_max_length": 131072,
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "audio_token": "<|audio_pad|>",
            "vision_bos_token": "<|vision_start|>",
            "vision_eos_token": "<|vision_end|>",
            "audio_bos_token": "<|audio_start|>",
            "audio_eos_token": "<|audio_end|>",
            "additional_special_tokens": special,
        },
        "chat_template.json": {"chat_template": CHAT_TEMPLATE},
    }
