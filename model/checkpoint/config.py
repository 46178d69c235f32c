"""Dimensions and token ids of a `qwen3_omni_moe` checkpoint, read from its config.json and from nowhere else.

The values are in `config_types.py`. A field that the file leaves out has the default that the
reference's config classes give it (they do not save fields that equal their default).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

from model.checkpoint.config_section import Section
from model.checkpoint.config_types import (
    UNSAID,
    AudioConfig,
    Code2WavConfig,
    DecoderConfig,
    ModelConfig,
    TalkerConfig,
    ThinkerConfig,
    VisionConfig,
)
from model.checkpoint.json_file import read_json
from model.errors import ConfigError

__all__ = [
    "UNSAID",
    "AudioConfig",
    "Code2WavConfig",
    "DecoderConfig",
    "ModelConfig",
    "Section",
    "TalkerConfig",
    "ThinkerConfig",
    "VisionConfig",
    "load_config",
    "parse_config",
]

SUPPORTED_MODEL_TYPE = "qwen3_omni_moe"
THINKER_MODEL_TYPE = "qwen3_omni_moe_thinker"
DTYPE_NAMES = {
    "bfloat16": "bfloat16", "bf16": "bfloat16", "auto": "bfloat16",
    "float16": "float16", "half": "float16", "fp16": "float16",
    "float32": "float32", "float": "float32", "fp32": "float32",
}  # fmt: skip
MOST_LAYERS = 512
MOST_EXPERTS = 4096
MOST_SIZE = 1 << 20
"""Of a width; the published ones are a few thousand."""


def load_config(directory: Path | str) -> ModelConfig:
    """Reads `directory`/config.json.

    Raises ConfigError when it is missing, not JSON, of another model type, or contradicts itself.
    """
    path = Path(directory) / "config.json"
    return parse_config(read_json(path, "give the directory of a published checkpoint"), str(path))


def parse_config(data: Any, where: str = "config.json") -> ModelConfig:
    """Turns the parsed JSON of a config.json into a ModelConfig; raises ConfigError."""
    root = Section(data, where)
    model_type = root.data.get("model_type")
    if model_type == THINKER_MODEL_TYPE:
        config = ModelConfig(
            thinker=_thinker(root),
            talker=None,
            code2wav=None,
            im_start_token_id=UNSAID,
            im_end_token_id=UNSAID,
            system_token_id=UNSAID,
            user_token_id=UNSAID,
            assistant_token_id=UNSAID,
            tts_pad_token_id=UNSAID,
            tts_bos_token_id=UNSAID,
            tts_eos_token_id=UNSAID,
            dtype=_dtype(root),
        )
        _check(config, where)
        return config
    if model_type != SUPPORTED_MODEL_TYPE:
        raise ConfigError(
            f"{where}: model_type is {str(model_type)[:80]!r}, expected {SUPPORTED_MODEL_TYPE!r}; "
            "give the directory of a Qwen3-Omni checkpoint"
        )
    # A checkpoint without one of the parts that speak has no voice; it answers in text.
    sections = ("talker_config", "code2wav_config")
    has_speech = root.flag("enable_audio_output", True) and all(root.has(name) for name in sections)
    config = ModelConfig(
        thinker=_thinker(root.section("thinker_config")),
        talker=_talker(root.section("talker_config")) if has_speech else None,
        code2wav=_code2wav(root.section("code2wav_config")) if has_speech else None,
        im_start_token_id=root.integer("im_start_token_id", 151644),
        im_end_token_id=root.integer("im_end_token_id", 151645),
        system_token_id=root.integer("system_token_id", 8948),
        user_token_id=root.integer("user_token_id", 872),
        assistant_token_id=root.integer("assistant_token_id", 77091),
        tts_pad_token_id=root.integer("tts_pad_token_id", 151671),
        tts_bos_token_id=root.integer("tts_bos_token_id", 151672),
        tts_eos_token_id=root.integer("tts_eos_token_id", 151673),
        dtype=_dtype(root),
    )
    _check(config, where)
    return config


def _dtype(root: Section) -> str:
    """The number type that weights are stored in: `dtype` of newer checkpoints, `torch_dtype` of older ones."""
    for section in (root, root.optional("thinker_config")):
        for key in ("dtype", "torch_dtype"):
            if section.has(key):
                name = section.text(key).removeprefix("torch.")
                if name not in DTYPE_NAMES:
                    raise ConfigError(
                        f"{section.where}: {key!r} is {name[:80]!r}, expected one of {', '.join(sorted(DTYPE_NAMES))}"
                    )
                return DTYPE_NAMES[name]
    return "bfloat16"


def _rope(section: Section, default_theta: float) -> tuple[float, tuple[int, ...] | None]:
    """Theta and the multimodal sections, from `rope_parameters` (newer) or `rope_theta`/`rope_scaling` (published)."""
    old, new = section.optional("rope_scaling"), section.optional("rope_parameters")
    merged = Section({**old.data, **new.data}, f"{section.where}.rope_parameters")
    # "mrope" and "default" are the same here: whether positions have three axes is said by mrope_section.
    for key in ("rope_type", "type"):
        merged.expect(key, "default", ("default", "axial", "mrope"))
    for key in ("mrope_interleaved", "interleaved"):
        merged.expect(key, True, (True,))
    default_theta = section.number("rope_theta", default_theta, least=1.0, most=1e12)
    theta = merged.number("rope_theta", default_theta, least=1.0, most=1e12)
    sections = merged.integers("mrope_section", (), longest=3) or None
    if sections is not None and len(sections) != 3:
        raise ConfigError(f"{merged.where}: 'mrope_section' is {sections}, expected three numbers")
    return theta, sections


def _decoder(section: Section, defaults: Mapping[str, Any], *, multimodal: bool) -> DecoderConfig:
    section.expect("hidden_act", "silu", ("silu",))
    heads = section.integer("num_attention_heads", defaults["num_attention_heads"], least=1, most=MOST_SIZE)
    hidden = section.integer("hidden_size", defaults["hidden_size"], least=1, most=MOST_SIZE)
    theta, sections = _rope(section, defaults["rope_theta"])
    return DecoderConfig(
        vocab_size=section.integer("vocab_size", defaults["vocab_size"], least=1),
        hidden_size=hidden,
        intermediate_size=section.integer("intermediate_size", defaults["intermediate_size"], most=MOST_SIZE),
        num_hidden_layers=section.integer(
            "num_hidden_layers", defaults["num_hidden_layers"], least=1, most=MOST_LAYERS
        ),
        num_attention_heads=heads,
        num_key_value_heads=section.integer(
            "num_key_value_heads", defaults["num_key_value_heads"], least=1, most=MOST_SIZE
        ),
        head_dim=section.integer("head_dim", defaults.get("head_dim", hidden // heads), least=2, most=MOST_SIZE),
        rms_norm_eps=section.number("rms_norm_eps", 1e-6, least=0, most=1),
        rope_theta=theta,
        max_position_embeddings=section.integer("max_position_embeddings", 32768, least=1),
        attention_bias=section.flag("attention_bias", False),
        mrope_section=(sections or (24, 20, 20)) if multimodal else None,
    )


def _experts(section: Section, defaults: Mapping[str, Any]) -> dict[str, Any]:
    # The reference's Talker config saves `num_experts` under its alias `num_local_experts`.
    alias = section.data.get("num_local_experts", defaults["num_experts"])
    return {
        "num_experts": section.integer("num_experts", alias, most=MOST_EXPERTS),
        "num_experts_per_tok": section.integer("num_experts_per_tok", 8, least=1, most=MOST_EXPERTS),
        "moe_intermediate_size": section.integer(
            "moe_intermediate_size", defaults["moe_intermediate_size"], most=MOST_SIZE
        ),
        "norm_topk_prob": section.flag("norm_topk_prob", defaults["norm_topk_prob"]),
    }


def _thinker(section: Section) -> ThinkerConfig:
    section.expect("tie_word_embeddings", False, (False,))
    text_section = section.section("text_config")
    text_section.expect("tie_word_embeddings", False, (False, None))
    text = _decoder(
        text_section,
        {
            "vocab_size": 3584,
            "hidden_size": 2048,
            "intermediate_size": 18944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "rope_theta": 1e6,
        },
        multimodal=True,
    )
    experts = _experts(text_section, {"num_experts": 128, "moe_intermediate_size": 768, "norm_topk_prob": True})
    mlp_only = text_section.integers("mlp_only_layers", ()) if text_section.data.get("mlp_only_layers") else ()
    step = text_section.integer("decoder_sparse_step", 1, least=1)
    dense = frozenset(n for n in range(text.num_hidden_layers) if n in mlp_only or (n + 1) % step)
    return ThinkerConfig(
        audio=_audio(section.section("audio_config")),
        vision=_vision(section.section("vision_config")),
        text=DecoderConfig(**{**vars(text), **experts, "dense_layers": dense}),
        audio_token_id=section.integer("audio_token_id", 151646),
        image_token_id=section.integer("image_token_id", 151655),
        video_token_id=section.integer("video_token_id", 151656),
        audio_start_token_id=section.integer("audio_start_token_id", 151647),
        audio_end_token_id=section.integer("audio_end_token_id") if section.has("audio_end_token_id") else None,
        vision_start_token_id=section.integer("vision_start_token_id", 151652),
        vision_end_token_id=section.integer("vision_end_token_id") if section.has("vision_end_token_id") else None,
        position_id_per_seconds=section.integer("position_id_per_seconds", 25, least=1, most=1000),
        seconds_per_chunk=section.integer("seconds_per_chunk", 2, least=1),
    )


def _audio(section: Section) -> AudioConfig:
    section.expect("activation_function", "gelu", ("gelu",))
    section.expect("scale_embedding", False, (False,))
    return AudioConfig(
        num_mel_bins=section.integer("num_mel_bins", 128, least=1, most=1024),
        d_model=section.integer("d_model", 1280, least=1, most=MOST_SIZE),
        encoder_layers=section.integer("encoder_layers", 32, least=1, most=MOST_LAYERS),
        encoder_attention_heads=section.integer("encoder_attention_heads", 20, least=1, most=MOST_SIZE),
        encoder_ffn_dim=section.integer("encoder_ffn_dim", 5120, least=1, most=MOST_SIZE),
        max_source_positions=section.integer("max_source_positions", 1500, least=1, most=MOST_SIZE),
        n_window=section.integer("n_window", 50, least=1, most=MOST_SIZE),
        n_window_infer=section.integer("n_window_infer", 800, least=1, most=MOST_SIZE),
        conv_chunksize=section.integer("conv_chunksize", 500, least=1, most=MOST_SIZE),
        downsample_hidden_size=section.integer("downsample_hidden_size", 480, least=1, most=MOST_SIZE),
        output_dim=section.integer("output_dim", 3584, least=1, most=MOST_SIZE),
    )


def _vision(section: Section) -> VisionConfig:
    section.expect("hidden_act", "gelu_pytorch_tanh", ("gelu_pytorch_tanh",))
    theta, _ = _rope(section, 10000.0)
    return VisionConfig(
        depth=section.integer("depth", 27, least=1, most=MOST_LAYERS),
        hidden_size=section.integer("hidden_size", 1152, least=1, most=MOST_SIZE),
        hidden_act=section.text("hidden_act", "gelu_pytorch_tanh"),
        intermediate_size=section.integer("intermediate_size", 4304, least=1, most=MOST_SIZE),
        num_heads=section.integer("num_heads", 16, least=1, most=MOST_SIZE),
        in_channels=section.integer("in_channels", 3, least=1, most=256),
        patch_size=section.integer("patch_size", 16, least=1, most=256),
        spatial_merge_size=section.integer("spatial_merge_size", 2, least=1, most=256),
        temporal_patch_size=section.integer("temporal_patch_size", 2, least=1, most=256),
        out_hidden_size=section.integer("out_hidden_size", 3584, least=1, most=MOST_SIZE),
        num_position_embeddings=section.integer("num_position_embeddings", 2304, least=1),
        deepstack_visual_indexes=section.integers("deepstack_visual_indexes", (8, 16, 24)),
        rope_theta=theta,
    )


def _talker(section: Section) -> TalkerConfig:
    section.expect("tie_word_embeddings", False, (False,))
    text_section = section.section("text_config")
    text = _decoder(
        text_section,
        {
            "vocab_size": 3072,
            "hidden_size": 1024,
            "intermediate_size": 2048,
            "num_hidden_layers": 20,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "rope_theta": 1e4,
        },
        multimodal=True,
    )
    experts = _experts(text_section, {"num_experts": 128, "moe_intermediate_size": 384, "norm_topk_prob": False})
    shared = text_section.integer("shared_expert_intermediate_size")
    groups = section.integer("num_code_groups", 32, least=2, most=256)
    predictor_section = section.section("code_predictor_config")
    predictor = _decoder(
        predictor_section,
        {
            "vocab_size": 2048,
            "hidden_size": 1024,
            "intermediate_size": 3072,
            "num_hidden_layers": 5,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "rope_theta": 10000.0,
        },
        multimodal=False,
    )
    layer_types = predictor_section.data.get("layer_types") or []
    if not isinstance(layer_types, list) or any(kind != "full_attention" for kind in layer_types):
        raise ConfigError(f"{predictor_section.where}: layer_types has other than 'full_attention', which is not built")
    if predictor_section.integer("num_code_groups", 32) != groups:
        raise ConfigError(f"{predictor_section.where}: num_code_groups differs from the Talker's {groups}")
    if predictor.hidden_size != text.hidden_size:
        raise ConfigError(
            f"{predictor_section.where}: hidden_size is {predictor.hidden_size}, expected {text.hidden_size}"
        )
    speakers = section.optional("speaker_id")
    return TalkerConfig(
        text=DecoderConfig(
            **{**vars(text), **experts, "has_shared_expert": True, "shared_expert_intermediate_size": shared}
        ),
        code_predictor=predictor,
        num_code_groups=groups,
        thinker_hidden_size=section.integer("thinker_hidden_size", 2048, least=1, most=MOST_SIZE),
        accept_hidden_layer=section.integer("accept_hidden_layer", 18),
        codec_bos_id=section.integer("codec_bos_id", 4197),
        codec_eos_token_id=section.integer("codec_eos_token_id", 4198),
        codec_pad_id=section.integer("codec_pad_id", 4196),
        codec_nothink_id=section.integer("codec_nothink_id", 4203),
        codec_think_bos_id=section.integer("codec_think_bos_id", 4204),
        codec_think_eos_id=section.integer("codec_think_eos_id", 4205),
        speaker_id={str(name): speakers.integer(name) for name in speakers.data},
    )


def _code2wav(section: Section) -> Code2WavConfig:
    section.expect("hidden_act", "silu", ("silu",))
    theta, _ = _rope(section, 10000.0)
    heads = section.integer("num_attention_heads", 16, least=1, most=MOST_SIZE)
    hidden = section.integer("hidden_size", 1024, least=1, most=MOST_SIZE)
    return Code2WavConfig(
        codebook_size=section.integer("codebook_size", 2048, least=1, most=MOST_SIZE),
        num_quantizers=section.integer("num_quantizers", 16, least=1, most=256),
        hidden_size=hidden,
        intermediate_size=section.integer("intermediate_size", 3072, least=1, most=MOST_SIZE),
        num_hidden_layers=section.integer("num_hidden_layers", 8, least=1, most=MOST_LAYERS),
        num_attention_heads=heads,
        num_key_value_heads=section.integer("num_key_value_heads", 16, least=1, most=MOST_SIZE),
        head_dim=section.integer("head_dim", hidden // heads, least=2, most=MOST_SIZE),
        attention_bias=section.flag("attention_bias", False),
        rms_norm_eps=section.number("rms_norm_eps", 1e-5, least=0, most=1),
        rope_theta=theta,
        sliding_window=section.integer("sliding_window", 72, least=1, most=MOST_SIZE),
        upsample_rates=section.integers("upsample_rates", (8, 5, 4, 3), least=1, most=64, longest=16),
        upsampling_ratios=section.integers("upsampling_ratios", (2, 2), least=1, most=64, longest=16),
        decoder_dim=section.integer("decoder_dim", 1536, least=1, most=MOST_SIZE),
    )


def _check(config: ModelConfig, where: str) -> None:
    """Raises ConfigError for parts that cannot work together."""
    thinker = config.thinker
    parts = {"thinker_config.text_config": thinker.text}
    problems = []
    if thinker.audio.output_dim != thinker.text.hidden_size:
        problems.append(f"audio output_dim {thinker.audio.output_dim} is not the Thinker's {thinker.text.hidden_size}")
    if thinker.vision.out_hidden_size != thinker.text.hidden_size:
        problems.append(f"vision out_hidden_size {thinker.vision.out_hidden_size} is not {thinker.text.hidden_size}")
    vision, audio = thinker.vision, thinker.audio
    problems += _uneven("vision_config", vision.hidden_size, vision.num_heads)
    problems += _uneven("audio_config", audio.d_model, audio.encoder_attention_heads)
    if isqrt(vision.num_position_embeddings) ** 2 != vision.num_position_embeddings:
        problems.append(f"vision num_position_embeddings {vision.num_position_embeddings} is no square")
    if any(index >= vision.depth for index in vision.deepstack_visual_indexes):
        problems.append(f"deepstack_visual_indexes {vision.deepstack_visual_indexes} go beyond {vision.depth} layers")
    if len(vision.deepstack_visual_indexes) > thinker.text.num_hidden_layers:
        problems.append("there are more deepstack features than Thinker layers")
    ids = [number for name, number in vars(thinker).items() if name.endswith("_token_id") and number is not None]
    ids += [number for name, number in vars(config).items() if name.endswith("_token_id")]
    if max(ids) >= thinker.text.vocab_size:
        problems.append(f"token ids up to {max(ids)} do not fit the Thinker's vocabulary {thinker.text.vocab_size}")
    if config.talker is not None and config.code2wav is not None:
        talker = config.talker
        parts["talker_config.text_config"] = talker.text
        parts["talker_config.code_predictor_config"] = talker.code_predictor
        if talker.thinker_hidden_size != thinker.text.hidden_size:
            problems.append(f"thinker_hidden_size {talker.thinker_hidden_size} is not {thinker.text.hidden_size}")
        if talker.accept_hidden_layer > thinker.text.num_hidden_layers:
            problems.append(f"accept_hidden_layer {talker.accept_hidden_layer} is beyond the Thinker's last layer")
        if talker.num_code_groups != config.code2wav.num_quantizers:
            problems.append(f"{talker.num_code_groups} code groups, but code2wav has {config.code2wav.num_quantizers}")
        if not talker.speaker_id:
            problems.append("talker_config.speaker_id names no speaker")
        named = [number for name, number in vars(talker).items() if name.startswith("codec_")]
        ids = [*named, *talker.speaker_id.values()]
        if max(ids) >= talker.text.vocab_size:
            problems.append(f"codec ids up to {max(ids)} do not fit the Talker's vocabulary {talker.text.vocab_size}")
        waves = config.code2wav
        if talker.code_predictor.vocab_size > waves.codebook_size:
            problems.append(
                f"the code predictor draws {talker.code_predictor.vocab_size} codes, code2wav has {waves.codebook_size}"
            )
        if waves.num_attention_heads % waves.num_key_value_heads:
            problems.append(f"code2wav: {waves.num_attention_heads} heads, {waves.num_key_value_heads} kv heads")
        if waves.decoder_dim % 2 ** len(waves.upsample_rates):
            problems.append(f"code2wav decoder_dim {waves.decoder_dim} cannot be halved for each upsample rate")
        if waves.head_dim % 2:
            problems.append(f"code2wav head_dim {waves.head_dim} is odd")
    for name, part in parts.items():
        if part.head_dim % 2:
            problems.append(f"{name}: head_dim {part.head_dim} is odd")
        if part.num_attention_heads % part.num_key_value_heads:
            problems.append(
                f"{name}: {part.num_attention_heads} heads cannot share {part.num_key_value_heads} kv heads"
            )
        if part.num_experts_per_tok > part.num_experts > 0:
            problems.append(f"{name}: {part.num_experts_per_tok} experts per token of only {part.num_experts}")
        if part.mrope_section is not None and sum(part.mrope_section) != part.head_dim // 2:
            problems.append(f"{name}: mrope_section {part.mrope_section} must add up to {part.head_dim // 2}")
    if problems:
        raise ConfigError(f"{where}: " + "; ".join(problems))


def _uneven(name: str, width: int, heads: int) -> list[str]:
    return [] if width % heads == 0 and width // heads % 2 == 0 else [f"{name}: {heads} heads cannot share {width}"]
