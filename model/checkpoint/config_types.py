"""What a `qwen3_omni_moe` checkpoint's config.json says, as values; `config.py` reads it.

Field names are those of the published config.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class DecoderConfig:
    """A causal transformer with grouped-query attention and q/k norm: Thinker, Talker or code predictor."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    attention_bias: bool = False
    mrope_section: tuple[int, ...] | None = None  # None: one-dimensional positions
    num_experts: int = 0
    num_experts_per_tok: int = 0
    moe_intermediate_size: int = 0
    norm_topk_prob: bool = False
    dense_layers: frozenset[int] = frozenset()  # layers with a dense MLP although the model has experts
    has_shared_expert: bool = False
    shared_expert_intermediate_size: int = 0

    def is_sparse(self, layer: int) -> bool:
        """Whether the MLP of `layer` is a mixture of experts."""
        return self.num_experts > 0 and layer not in self.dense_layers

    @property
    def qkv_sizes(self) -> tuple[int, int, int]:
        """Output sizes of the query, key and value projections."""
        kv = self.num_key_value_heads * self.head_dim
        return self.num_attention_heads * self.head_dim, kv, kv


@dataclass(frozen=True)
class AudioConfig:
    """Audio encoder ("AuT")."""

    num_mel_bins: int
    d_model: int
    encoder_layers: int
    encoder_attention_heads: int
    encoder_ffn_dim: int
    max_source_positions: int
    n_window: int
    n_window_infer: int
    conv_chunksize: int
    downsample_hidden_size: int
    output_dim: int


@dataclass(frozen=True)
class VisionConfig:
    """Vision encoder with DeepStack."""

    depth: int
    hidden_size: int
    hidden_act: str
    intermediate_size: int
    num_heads: int
    in_channels: int
    patch_size: int
    spatial_merge_size: int
    temporal_patch_size: int
    out_hidden_size: int
    num_position_embeddings: int
    deepstack_visual_indexes: tuple[int, ...]
    rope_theta: float = 10000.0


@dataclass(frozen=True)
class ThinkerConfig:
    """Audio and vision encoders and the text decoder that reads them."""

    audio: AudioConfig
    vision: VisionConfig
    text: DecoderConfig
    audio_token_id: int
    image_token_id: int
    video_token_id: int
    audio_start_token_id: int
    audio_end_token_id: int | None
    vision_start_token_id: int
    vision_end_token_id: int | None
    position_id_per_seconds: int
    seconds_per_chunk: int


@dataclass(frozen=True)
class TalkerConfig:
    """Speech decoder, its code predictor and its control tokens."""

    text: DecoderConfig
    code_predictor: DecoderConfig
    num_code_groups: int
    thinker_hidden_size: int
    accept_hidden_layer: int
    codec_bos_id: int
    codec_eos_token_id: int
    codec_pad_id: int
    codec_nothink_id: int
    codec_think_bos_id: int
    codec_think_eos_id: int
    speaker_id: dict[str, int] = field(default_factory=dict)

    @property
    def voices(self) -> tuple[str, ...]:
        """Speaker names, the reference's default ("ethan") first where it exists."""
        names = tuple(self.speaker_id)
        return tuple(sorted(names, key=lambda name: name.lower() != "ethan"))

    def speaker(self, voice: str) -> int:
        """The codec id of a voice; names are compared without case. KeyError for one that is not there."""
        return {name.lower(): number for name, number in self.speaker_id.items()}[voice.lower()]


@dataclass(frozen=True)
class Code2WavConfig:
    """From codes to samples."""

    codebook_size: int
    num_quantizers: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    attention_bias: bool
    rms_norm_eps: float
    rope_theta: float
    sliding_window: int
    upsample_rates: tuple[int, ...]
    upsampling_ratios: tuple[int, ...]
    decoder_dim: int

    @property
    def samples_per_frame(self) -> int:
        """Samples of one codec frame (1,920 in the published checkpoint)."""
        product = 1
        for factor in self.upsample_rates + self.upsampling_ratios:
            product *= factor
        return product


UNSAID = -1


@dataclass(frozen=True)
class ModelConfig:
    """The whole checkpoint; `talker` and `code2wav` are None when it has no speech output.

    An id of the chat is `UNSAID` where config.json has no place for it (a Thinker by itself): the tokenizer knows it.
    """

    thinker: ThinkerConfig
    talker: TalkerConfig | None
    code2wav: Code2WavConfig | None
    im_start_token_id: int
    im_end_token_id: int
    system_token_id: int
    user_token_id: int
    assistant_token_id: int
    tts_pad_token_id: int
    tts_bos_token_id: int
    tts_eos_token_id: int
    dtype: str

    @property
    def without_voice(self) -> ModelConfig:
        """The same without the parts that speak."""
        return replace(self, talker=None, code2wav=None)
