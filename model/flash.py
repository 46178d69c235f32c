"""A loaded checkpoint: all parts of the model, ready to open sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.checkpoint.config import DecoderConfig, ModelConfig, load_config
from model.checkpoint.files import open_checkpoint
from model.checkpoint.place import checkpoint_folder
from model.checkpoint.tensors import expected_tensors
from model.checkpoint.tokenizer import ChatTokens, Tokenizer, with_chat_ids
from model.device import choose_device, choose_dtype, choose_graphs, free_bytes
from model.errors import ConfigError, InputError
from model.memory import Memory
from model.network.audio_encoder import AudioEncoder
from model.network.cache import FIRST_CAPACITY, KVCache
from model.network.code2wav import Code2Wav
from model.network.code_predictor import CodePredictor, PredictorWorkspace
from model.network.cpu_storage import ColumnStorage
from model.network.filling import Filler, Storage, check_filled
from model.network.generation import Generation, read_generation
from model.network.images import ImageSettings, preprocess
from model.network.int8_cache import Int8KVCache
from model.network.layers import Rope
from model.network.mel import check_settings
from model.network.parts import Parts, build
from model.network.resample import Resampler
from model.network.spoken import SpokenConstants
from model.network.talker import Talker
from model.network.thinker import Thinker
from model.network.vision_encoder import VisionEncoder
from model.prompts import HOLD_TOKEN
from model.quant.check import check_memory
from model.quant.gathered import check_host_experts, read_nothing_back
from model.quant.load import check_choice, placed, storage_for, stored_weights
from model.quant.plan import FORK_ROWS, cache_bytes
from model.quant.steps import choose_step
from model.quant.storage import backend_for

CACHE_SHARE = 0.25  # of the free device memory, for the caches of one session
POSITIONS_LIMIT = 32768
POSITIONS_LEAST = 2048  # by default
TALKER_PROMPT_ROWS = 9  # of a reply, before its first frame
SUPPRESSED_TAIL = 1024  # the Talker's last ids are control tokens, never drawn (the end of speech excepted)


@dataclass(frozen=True)
class PictureFeatures:
    """An encoded picture and its token grid."""

    embeddings: Tensor  # [n, H]
    deepstack: Tensor  # [layers, n, H]
    n_rows: int
    n_columns: int


@dataclass
class Flash:
    """All parts of one checkpoint on one device. Read-only after loading; sessions share it, one thread at a time."""

    config: ModelConfig
    tokenizer: Tokenizer
    generation: Generation
    image_settings: ImageSettings
    device: torch.device
    dtype: torch.dtype
    thinker: Thinker
    audio_encoder: AudioEncoder
    vision_encoder: VisionEncoder
    talker: Talker | None
    code_predictor: CodePredictor | None
    code2wav: Code2Wav | None
    memory: Memory = field(default_factory=Memory)
    graphs: str = "off"
    chat: ChatTokens = field(init=False)

    def __post_init__(self) -> None:
        config = self.config
        self.thinker_rope = self.thinker.new_rope(self.device)
        self.talker_rope = Rope(config.talker.text if config.talker else config.thinker.text, self.device)
        self.chat = ChatTokens.of(self.tokenizer, config)
        thinker = config.thinker
        self.audio_ends = (
            thinker.audio_start_token_id,
            self._id(thinker.audio_end_token_id, "<|audio_end|>"),
        )
        self.vision_ends = (
            thinker.vision_start_token_id,
            self._id(thinker.vision_end_token_id, "<|vision_end|>"),
        )
        self.is_time_aligned = self.tokenizer.has(HOLD_TOKEN)
        self.suppressed = self._suppressed()
        self.spoken: SpokenConstants | None = None
        if self.talker is not None:
            self.spoken = SpokenConstants.of(self.talker, self.thinker, config, self.chat, self.device)

    def _id(self, configured: int | None, token: str) -> int:
        return configured if configured is not None else self.tokenizer.id_of(token)

    def _suppressed(self) -> Tensor | None:
        if self.config.talker is None:
            return None
        size = self.config.talker.text.vocab_size
        ids = torch.arange(max(0, size - SUPPRESSED_TAIL), size)
        return ids[ids != self.config.talker.codec_eos_token_id]

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the speakers, the default first; empty when the checkpoint cannot speak."""
        return self.config.talker.voices if self.config.talker is not None else ()

    @property
    def has_fixed_caches(self) -> bool:
        """Whether caches have their full size from the start: the memory plan and recorded steps rely on it."""
        return self.device.type == "cuda" or self.graphs != "off"

    # ---- what a conversation asks for--------------------------------------------------------------------------------

    def default_positions(self) -> int:
        """A budget of positions from the free memory of the device."""
        if self.memory.positions is not None:
            return self.memory.positions
        bits, width = self.memory.cache_bits, self.dtype.itemsize
        per_position = cache_bytes(self.config.thinker.text, 1, bits, width)
        if self.config.talker is not None:
            per_position += cache_bytes(self.config.talker.text, 1, bits, width)
        fits = int(free_bytes(self.device) * CACHE_SHARE) // per_position
        return max(POSITIONS_LEAST, min(POSITIONS_LIMIT, fits))

    def new_thinker_cache(self, max_positions: int) -> KVCache:
        """An empty Thinker cache; on a GPU at its full size, so that its addresses never change."""
        return self._new_cache(self.config.thinker.text, max_positions, spare=FORK_ROWS)

    def new_talker_cache(self, max_positions: int) -> KVCache:
        """An empty Talker cache (a token one when the checkpoint cannot speak)."""
        config = self.config.talker.text if self.config.talker is not None else self.config.thinker.text
        # User turns and the frames of one reply: on a GPU all of it has a fixed place from the start.
        room = max_positions + self.generation.max_frames + TALKER_PROMPT_ROWS
        return self._new_cache(config, room if self.config.talker is not None else 1)

    def _new_cache(self, config: DecoderConfig, max_positions: int, spare: int = 0) -> KVCache:
        capacity = max_positions + spare if self.has_fixed_caches else min(FIRST_CAPACITY, max_positions)
        kind = Int8KVCache if self.memory.cache_bits == 8 else KVCache
        return kind(config, device=self.device, dtype=self.dtype, capacity=max(capacity, 1))

    def voice_prompt(self, voice: str) -> Tensor:
        """What the Talker reads before a reply of this voice (a name of `voices`, any case): [8, H]."""
        if self.talker is None or self.spoken is None or self.config.talker is None:
            raise InputError("this checkpoint has no speech output")
        return self.spoken.prompt(self.talker, self.config.talker.speaker(voice))

    def new_workspace(self) -> PredictorWorkspace:
        """Scratch memory of the code predictor for one session."""
        if self.code_predictor is None:
            raise InputError("this checkpoint has no speech output")
        return self.code_predictor.new_workspace(self.device, self.dtype)

    def new_resampler(self, rate_hz: int) -> Resampler:
        """Sound of `rate_hz` to the encoder's rate."""
        return Resampler(rate_hz)

    def encode_picture(self, rgb: npt.NDArray[np.uint8], max_pixels: int | None = None) -> PictureFeatures:
        """A picture uint8 [H, W, 3] -> its embeddings."""
        picture = preprocess(rgb, self.image_settings, max_pixels=max_pixels)
        (features,) = self.vision_encoder([picture])
        merge = self.config.thinker.vision.spatial_merge_size
        return PictureFeatures(
            features.embeddings.to(self.dtype),
            features.deepstack.to(self.dtype),
            picture.grid.h // merge,
            picture.grid.w // merge,
        )

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Token ids of plain text; special tokens in it are read as letters, so that no text can pose as a turn."""
        return tuple(self.tokenizer.encode(text))

    def generator(self, seed: int) -> torch.Generator:
        """A seeded source of chance on the device."""
        return torch.Generator(device=self.device).manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class SmallFiles:
    """What a checkpoint's folder says beside its weights."""

    config: ModelConfig
    tokenizer: Tokenizer
    generation: Generation
    image_settings: ImageSettings


def read_small_files(path: Path) -> SmallFiles:
    """Reads and checks every file but the weights. Raises ConfigError."""
    config = load_config(path)
    tokenizer = Tokenizer.load(path)
    config = with_chat_ids(config, tokenizer)
    check_settings(path, config.thinker.audio.num_mel_bins)
    ChatTokens.of(tokenizer, config)
    return SmallFiles(config, tokenizer, read_generation(path, config), ImageSettings.load(path, config.thinker.vision))


def load(
    path: Path | str,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str | None = None,
    *,
    memory: Memory | None = None,
    graphs: str = "auto",
    storage: Storage | None = None,
) -> Flash:
    """Loads a published checkpoint directory.

    device: "auto" (a GPU if there is one), "cpu", "cuda", ...; dtype: "auto", "float32", "bfloat16"; quantize: None,
    "int8" or "int4" (weight-only, of the large matrices; see `model.quant.parts`); memory: where what is kept (see
    `model.memory`); graphs: "off" decodes step by step, "cuda" in CUDA graphs, "static" in the same steps without
    capturing them, "auto" is "cuda" on a GPU. Raises ConfigError, CheckpointError, InputError, and OutOfMemoryError
    before anything is read that cannot fit.
    """
    check_choice(quantize)
    memory = Memory() if memory is None else memory
    is_custom = storage is not None  # how much that takes is its maker's business
    path = checkpoint_folder(path)
    small = read_small_files(path)
    config, tokenizer = small.config, small.tokenizer
    where = choose_device(device)
    mode = choose_graphs(graphs, where)
    number_type = choose_dtype(dtype, config.dtype, where)
    checkpoint, config = open_checkpoint(path, config)
    expected = expected_tensors(config)
    stored = stored_weights(path, expected, checkpoint.file_of)
    check_host_experts(memory, is_packed=quantize is not None or stored is not None, mode=mode)
    backend = backend_for(where, recorded=mode != "off")
    if stored is None:
        if checkpoint.quantised_name is not None:
            raise ConfigError(
                f"{path}: {checkpoint.quantised_name!r} is quantised, but neither config.json nor a file beside it "
                "says how; use the files published with this checkpoint"
            )
        checkpoint.verify(expected)
        if storage is None and quantize is not None:
            storage = storage_for(quantize, where, number_type, backend)
        elif storage is None and where.type == "cpu" and number_type == torch.float32 and mode == "off":
            storage = ColumnStorage()
    elif quantize is not None:
        raise InputError(f"quantize is {quantize!r}, but {path} is quantised already; load it without")
    else:
        checkpoint.verify(stored.tensors, packed=stored.packed)
    if memory.check and not is_custom:
        check_memory(
            config,
            memory,
            device=where,
            dtype=number_type,
            quantize=quantize,
            least_positions=POSITIONS_LEAST,
            spec_of=None if stored is None else stored.spec_of,
        )
    if stored is not None:
        storage = stored.storage(where, number_type, backend)
    storage = placed(storage, stored, quantize, memory, where, number_type)
    parts = build(config)
    filler = Filler(checkpoint, device=where, dtype=number_type, storage=storage)
    # Code2Wav is small and its convolutions are poor in bf16 on a CPU; speech quality wants full precision.
    waves = Filler(checkpoint, device=where, dtype=torch.float32)
    for name, module, prefix in parts.places():
        chosen = waves if name == "code2wav" else filler
        chosen.fill(module, prefix)
    if parts.code2wav is not None:
        parts.code2wav.pack()
        checkpoint.release([name for name in checkpoint.file_of if name.startswith("code2wav.")])
    return assemble(path, config, parts, tokenizer, device=where, dtype=number_type, memory=memory, mode=mode)


def assemble(
    path: Path,
    config: ModelConfig,
    parts: Parts,
    tokenizer: Tokenizer,
    *,
    device: torch.device,
    dtype: torch.dtype,
    memory: Memory,
    mode: str,
) -> Flash:
    """A Flash of parts that are filled; `path` holds the files beside the weights. `mode`: see `graphs` in `load`."""
    for module in parts.modules():
        check_filled(module)
        module.eval()
    if parts.code2wav is not None:
        parts.code2wav.pack()
    for part in (parts.thinker, parts.talker, parts.code_predictor):
        if part is not None and mode != "off":
            read_nothing_back(part)
        elif part is not None:
            choose_step(part.model)
    return Flash(
        config=config,
        tokenizer=tokenizer,
        generation=read_generation(path, config),
        image_settings=ImageSettings.load(path, config.thinker.vision),
        device=device,
        dtype=dtype,
        thinker=parts.thinker,
        audio_encoder=parts.audio_encoder,
        vision_encoder=parts.vision_encoder,
        talker=parts.talker,
        code_predictor=parts.code_predictor,
        code2wav=parts.code2wav,
        memory=memory,
        graphs=mode,
    )
