"""Names and shapes of every tensor of a published `qwen3_omni_moe` checkpoint, derived from its config.

This is the only place that knows checkpoint names. With the published 30B-A3B config it lists exactly 28,010 tensors
with 35,259,818,545 parameters (experts are stored one by one).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from model.checkpoint.config import AudioConfig, Code2WavConfig, DecoderConfig, ModelConfig, TalkerConfig, VisionConfig

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]

AUDIO_PREFIX = "thinker.audio_tower."
VISION_PREFIX = "thinker.visual."
THINKER_PREFIX = "thinker.model."
THINKER_HEAD_PREFIX = "thinker.lm_head."
TALKER_PREFIX = "talker."
CODE2WAV_PREFIX = "code2wav."


def expected_tensors(config: ModelConfig) -> dict[str, Shape]:
    """Every tensor name of the checkpoint and its shape."""
    return dict(_all(config))


def count_parameters(tensors: dict[str, Shape]) -> int:
    """Number of parameters in a set of shapes."""
    return sum(prod(shape) for shape in tensors.values())


def _all(config: ModelConfig) -> Named:
    yield from _under(AUDIO_PREFIX, _audio(config.thinker.audio))
    yield from _under(VISION_PREFIX, _vision(config.thinker.vision))
    text = config.thinker.text
    yield THINKER_PREFIX + "embed_tokens.weight", (text.vocab_size, text.hidden_size)
    yield from _under(THINKER_PREFIX, _decoder(text))
    yield THINKER_HEAD_PREFIX + "weight", (text.vocab_size, text.hidden_size)
    if config.talker is not None and config.code2wav is not None:
        yield from _under(TALKER_PREFIX, _talker(config.talker))
        yield from _under(CODE2WAV_PREFIX, _code2wav(config.code2wav))


def _under(prefix: str, named: Named) -> Named:
    for name, shape in named:
        yield prefix + name, shape


def _linear(name: str, out_size: int, in_size: int, *, bias: bool = True) -> Named:
    yield name + ".weight", (out_size, in_size)
    if bias:
        yield name + ".bias", (out_size,)


def _norm(name: str, size: int) -> Named:
    yield name + ".weight", (size,)
    yield name + ".bias", (size,)


def _conv(name: str, shape: Shape, bias_size: int) -> Named:
    yield name + ".weight", shape
    yield name + ".bias", (bias_size,)


def _decoder(config: DecoderConfig) -> Named:
    hidden, queries = config.hidden_size, config.qkv_sizes[0]
    for layer in range(config.num_hidden_layers):
        name = f"layers.{layer}."
        for projection, size in zip("qkv", config.qkv_sizes, strict=True):
            yield from _linear(f"{name}self_attn.{projection}_proj", size, hidden, bias=config.attention_bias)
        yield from _linear(f"{name}self_attn.o_proj", hidden, queries, bias=config.attention_bias)
        yield f"{name}self_attn.q_norm.weight", (config.head_dim,)
        yield f"{name}self_attn.k_norm.weight", (config.head_dim,)
        yield from _mlp(name + "mlp.", config, layer)
        yield f"{name}input_layernorm.weight", (hidden,)
        yield f"{name}post_attention_layernorm.weight", (hidden,)
    yield "norm.weight", (hidden,)


def _mlp(name: str, config: DecoderConfig, layer: int) -> Named:
    hidden = config.hidden_size
    if not config.is_sparse(layer):
        yield from _gated(name, hidden, config.intermediate_size)
        return
    yield name + "gate.weight", (config.num_experts, hidden)
    for expert in range(config.num_experts):
        yield from _gated(f"{name}experts.{expert}.", hidden, config.moe_intermediate_size)
    if config.has_shared_expert:
        yield from _gated(name + "shared_expert.", hidden, config.shared_expert_intermediate_size)
        yield name + "shared_expert_gate.weight", (1, hidden)


def _gated(name: str, hidden: int, intermediate: int) -> Named:
    yield name + "gate_proj.weight", (intermediate, hidden)
    yield name + "up_proj.weight", (intermediate, hidden)
    yield name + "down_proj.weight", (hidden, intermediate)


def _talker(config: TalkerConfig) -> Named:
    text, predictor = config.text, config.code_predictor
    yield "model.codec_embedding.weight", (text.vocab_size, text.hidden_size)
    yield from _under("model.", _decoder(text))
    for name in ("text_projection", "hidden_projection"):
        yield from _linear(name + ".linear_fc1", text.intermediate_size, config.thinker_hidden_size)
        yield from _linear(name + ".linear_fc2", text.hidden_size, text.intermediate_size)
    yield "codec_head.weight", (text.vocab_size, text.hidden_size)
    yield from _under("code_predictor.model.", _decoder(predictor))
    for group in range(config.num_code_groups - 1):
        yield f"code_predictor.model.codec_embedding.{group}.weight", (predictor.vocab_size, predictor.hidden_size)
        yield f"code_predictor.lm_head.{group}.weight", (predictor.vocab_size, predictor.hidden_size)


def _audio(config: AudioConfig) -> Named:
    size, channels = config.d_model, config.downsample_hidden_size
    for layer in range(config.encoder_layers):
        name = f"layers.{layer}."
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{name}self_attn.{projection}", size, size)
        yield from _norm(name + "self_attn_layer_norm", size)
        yield from _linear(name + "fc1", config.encoder_ffn_dim, size)
        yield from _linear(name + "fc2", size, config.encoder_ffn_dim)
        yield from _norm(name + "final_layer_norm", size)
    yield from _norm("ln_post", size)
    yield from _conv("conv2d1", (channels, 1, 3, 3), channels)
    yield from _conv("conv2d2", (channels, channels, 3, 3), channels)
    yield from _conv("conv2d3", (channels, channels, 3, 3), channels)
    bands = config.num_mel_bins
    for _ in range(3):  # each convolution has stride 2 and padding 1
        bands = (bands - 1) // 2 + 1
    yield from _linear("conv_out", size, channels * bands, bias=False)
    yield from _linear("proj1", size, size)
    yield from _linear("proj2", config.output_dim, size)


def _vision(config: VisionConfig) -> Named:
    size, merged = config.hidden_size, config.hidden_size * config.spatial_merge_size**2
    patch = (config.temporal_patch_size, config.patch_size, config.patch_size)
    yield from _conv("patch_embed.proj", (size, config.in_channels, *patch), size)
    yield "pos_embed.weight", (config.num_position_embeddings, size)
    for block in range(config.depth):
        name = f"blocks.{block}."
        yield from _norm(name + "norm1", size)
        yield from _norm(name + "norm2", size)
        yield from _linear(name + "attn.qkv", 3 * size, size)
        yield from _linear(name + "attn.proj", size, size)
        yield from _linear(name + "mlp.linear_fc1", config.intermediate_size, size)
        yield from _linear(name + "mlp.linear_fc2", size, config.intermediate_size)
    mergers = {"merger.": size}  # the main merger normalises before it merges, DeepStack's after
    mergers |= {f"merger_list.{n}.": merged for n in range(len(config.deepstack_visual_indexes))}
    for name, norm_size in mergers.items():
        yield from _norm(name + "ln_q", norm_size)
        yield from _linear(name + "mlp.0", merged, merged)
        yield from _linear(name + "mlp.2", config.out_hidden_size, merged)


def _code2wav(config: Code2WavConfig) -> Named:
    hidden, heads = config.hidden_size, config.num_attention_heads * config.head_dim
    kv = config.num_key_value_heads * config.head_dim
    for layer in range(config.num_hidden_layers):
        name = f"pre_transformer.layers.{layer}."
        for projection, out_size in (("q_proj", heads), ("k_proj", kv), ("v_proj", kv)):
            yield from _linear(f"{name}self_attn.{projection}", out_size, hidden, bias=config.attention_bias)
        yield from _linear(name + "self_attn.o_proj", hidden, heads, bias=config.attention_bias)
        yield from _gated(name + "mlp.", hidden, config.intermediate_size)
        yield name + "input_layernorm.weight", (hidden,)
        yield name + "post_attention_layernorm.weight", (hidden,)
        yield name + "self_attn_layer_scale.scale", (hidden,)
        yield name + "mlp_layer_scale.scale", (hidden,)
    yield "pre_transformer.norm.weight", (hidden,)
    yield "code_embedding.weight", (config.codebook_size * config.num_quantizers, hidden)
    for stage, factor in enumerate(config.upsampling_ratios):
        name = f"upsample.{stage}."
        yield from _conv(name + "0.conv", (hidden, hidden, factor), hidden)
        yield name + "1.gamma", (hidden,)
        yield from _conv(name + "1.dwconv.conv", (hidden, 1, 7), hidden)
        yield from _norm(name + "1.norm", hidden)
        yield from _linear(name + "1.pwconv1", 4 * hidden, hidden)
        yield from _linear(name + "1.pwconv2", hidden, 4 * hidden)
    width = config.decoder_dim
    yield from _conv("decoder.0.conv", (width, hidden, 7), width)
    for block, factor in enumerate(config.upsample_rates, start=1):
        yield from _decoder_block(f"decoder.{block}.block.", width, width // 2, factor)
        width //= 2
    last = len(config.upsample_rates) + 1
    yield f"decoder.{last}.alpha", (width,)
    yield f"decoder.{last}.beta", (width,)
    yield from _conv(f"decoder.{last + 1}.conv", (1, width, 7), 1)


def _decoder_block(name: str, in_width: int, out_width: int, factor: int) -> Named:
    yield name + "0.alpha", (in_width,)
    yield name + "0.beta", (in_width,)
    yield from _conv(name + "1.conv", (in_width, out_width, 2 * factor), out_width)
    for unit in range(2, 5):  # three residual units, dilated 1, 3 and 9
        for act in ("act1", "act2"):
            yield f"{name}{unit}.{act}.alpha", (out_width,)
            yield f"{name}{unit}.{act}.beta", (out_width,)
        yield from _conv(f"{name}{unit}.conv1.conv", (out_width, out_width, 7), out_width)
        yield from _conv(f"{name}{unit}.conv2.conv", (out_width, out_width, 1), out_width)
