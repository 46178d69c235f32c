"""A decoder of interleaved weights, one position at a time: what `step_kernel` is told, and the memory it uses."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from model.network.cache import KVCache
from model.network.decoder import Decoder
from model.network.int8_cache import Int8KVCache
from model.network.layers import DecoderLayer
from model.network.moe import GatedMLP, SparseMLP
from model.network.weights import Linear
from model.quant.processor import products, step
from model.quant.processor.layout import LANES, aligned
from model.quant.processor.products import N_FIELDS
from model.quant.processor.storage import InterleavedExperts, InterleavedLinear
from model.quant.processor.team import Team

# Weights of a step below which helpers would wake up too late to help.
SHARED_BYTES = 1 << 21
CACHE_KINDS = {torch.float32: step.FLOAT32_CACHE, torch.bfloat16: step.BFLOAT16_CACHE}


class DecoderStep:
    """`Decoder.forward` for one row. Owned by one thread at a time, as the caches that it writes to."""

    def __init__(self, decoder: Decoder, team: Team) -> None:
        """Raises TypeError for a decoder that `suits` refuses."""
        self._team = team
        self._memory: list[Any] = []  # what the kernel's addresses point to
        layers = [cast(DecoderLayer, layer) for layer in decoder.layers]
        attention = layers[0].self_attn
        hidden = decoder.norm.weight.shape[0]
        self._hidden = hidden
        self._layers = np.array([self._describe(layer) for layer in layers], np.int64)
        n_bytes = sum(_read_bytes(layer) for layer in layers)
        self._is_shared = n_bytes >= SHARED_BYTES
        self._numbers = np.zeros(step.N_DECODER_FIELDS, np.int64)
        self._step = np.zeros(step.N_STEP_FIELDS, np.int64)
        self._scores = torch.empty(0)
        d = self._numbers
        d[step.LAYERS], d[step.N_LAYERS] = self._layers.ctypes.data, len(layers)
        d[step.HIDDEN], d[step.HEAD_DIM] = hidden, attention.head_dim
        d[step.Q_HEADS], d[step.KV_HEADS] = attention.q_heads, attention.kv_heads
        d[step.FINAL_NORM] = self._floats(decoder.norm.weight)
        d[step.EPS] = self._floats(torch.tensor([decoder.norm.eps]))
        self._allocate()

    @staticmethod
    def suits(decoder: Decoder) -> bool:
        """Whether every product of its layers is one of ours."""
        return all(_is_ours(cast(DecoderLayer, layer)) for layer in decoder.layers)

    def __call__(
        self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache, capture: int | None
    ) -> tuple[Tensor, Tensor | None]:
        """As `Decoder.forward` for x [1, H] without DeepStack."""
        cache.reserve(cache.length + 1)
        self._point(cache)
        cos, sin = (table.reshape(-1).contiguous() for table in rope)
        mask = cache.mask(1)
        hidden = None if mask is None else ~mask[0]
        captured = torch.empty(1, self._hidden) if capture is not None else None
        out = torch.empty(1, self._hidden)
        self._x[: self._hidden] = x[0]
        self._step[:] = (
            cache.length, cos.data_ptr(), sin.data_ptr(), 0 if hidden is None else hidden.data_ptr(),
            -1 if capture is None else capture, 0 if captured is None else captured.data_ptr(),
        )  # fmt: skip
        d = self._numbers
        d[step.OUT] = out.data_ptr()
        d[step.THREADS] = self._team.n_threads if self._is_shared else 1
        self._team.run(step.step_kernel, d.ctypes.data, self._step.ctypes.data, helpers=self._is_shared)
        cache.advance(1)
        return out.to(x.dtype), None if captured is None else captured.to(x.dtype)

    def _point(self, cache: KVCache) -> None:
        """The layers' numbers say where this cache lies."""
        table = self._layers
        table[:, step.KEYS] = [keys.data_ptr() for keys in cache.keys]
        table[:, step.VALUES] = [values.data_ptr() for values in cache.values]
        d = self._numbers
        if isinstance(cache, Int8KVCache):
            d[step.CACHE_KIND] = step.INT8_CACHE
            table[:, step.KEY_SCALES] = [scales.data_ptr() for scales in cache.key_scales]
            table[:, step.VALUE_SCALES] = [scales.data_ptr() for scales in cache.value_scales]
        else:
            d[step.CACHE_KIND] = CACHE_KINDS[cache.dtype]
        d[step.CAPACITY] = cache.capacity
        n_queries = d[step.Q_HEADS] // d[step.KV_HEADS]
        size = int(d[step.KV_HEADS] * (n_queries * (cache.capacity + 1 + d[step.HEAD_DIM]) + d[step.HEAD_DIM]))
        if self._scores.shape[0] < size:
            self._scores = torch.empty(size)
            d[step.SCORES] = self._scores.data_ptr()

    def _describe(self, layer: DecoderLayer) -> list[int]:
        attention, mlp = layer.self_attn, layer.mlp
        nothing = [0] * N_FIELDS
        has_shared = isinstance(mlp, SparseMLP) and mlp.shared_expert is not None
        router = shared_gate = 0
        n_experts, top_k, normalises = 1, 1, False
        shared = [*nothing, *nothing]
        if isinstance(mlp, SparseMLP):
            experts = cast(InterleavedExperts, mlp.experts).description
            router = self._floats(mlp.gate.weight)
            n_experts, top_k, normalises = mlp.gate.weight.shape[0], mlp.top_k, mlp.normalise
            if mlp.shared_expert is not None and mlp.shared_expert_gate is not None:
                shared = _dense(mlp.shared_expert)
                shared_gate = self._floats(mlp.shared_expert_gate.weight)
        else:
            experts = _dense(cast(GatedMLP, mlp))
        queries = attention.q_norm.weight.float() * attention.head_dim**-0.5
        keys = attention.k_norm.weight.float()
        head_norms = torch.stack([queries] * attention.q_heads + [keys] * attention.kv_heads)
        return [
            *_product(attention.qkv), *_product(attention.o_proj), *experts, *shared,
            self._floats(layer.input_layernorm.weight), self._floats(layer.post_attention_layernorm.weight),
            self._floats(head_norms), router, shared_gate, 0, 0, 0, 0, n_experts, top_k, normalises, has_shared,
        ]  # fmt: skip

    def _floats(self, tensor: Tensor) -> int:
        """The address of a tensor's float32 numbers, kept alive."""
        kept = tensor.detach().float().contiguous()
        self._memory.append(kept)
        return kept.data_ptr()

    def _allocate(self) -> None:
        """All memory that a step needs, but what depends on the cache."""
        table = self._layers
        matrices = table[:, : 6 * N_FIELDS].reshape(-1, N_FIELDS)
        row = 64 + int((2 * matrices[:, products.PADDED] + 8 * matrices[:, products.GROUPS]).max()) // 64 * 64 + 64
        widest = LANES * int(matrices[:, products.BLOCKS].max())
        n_slots = int((table[:, step.TOP_K] + table[:, step.HAS_SHARED]).max())
        n_experts = int(table[:, step.N_EXPERTS].max())
        d = self._numbers
        q_heads, kv_heads, head_dim = (int(d[field]) for field in (step.Q_HEADS, step.KV_HEADS, step.HEAD_DIM))
        x = self._room(step.X, self._hidden + LANES, torch.float32)
        x.zero_()
        self._x: Tensor = x
        self._room(step.NORMED, self._hidden, torch.float32)
        self._room(step.PROJECTED, max(widest, (q_heads + 2 * kv_heads) * head_dim + LANES), torch.float32)
        self._room(step.ATTENDED, q_heads * head_dim, torch.float32)
        self._room(step.LOGITS, n_experts + 1, torch.float32)
        self._room(step.CHOSEN, n_slots + 64, torch.int64)
        self._room(step.GATES, n_slots + 64, torch.float32)
        self._room(step.BOTH, n_slots * widest, torch.float32)
        for name, at, count in (
            (step.ACTIVATION, step.ROW_AT, 1),
            (step.SHARED_ACTIVATION, step.SHARED_ROW_AT, 1),
            (step.INNER, step.INNER_AT, n_slots),
        ):
            rows = self._room(name, count * row, torch.uint8)
            addresses = self._room(at, count, torch.int64)
            addresses.copy_(rows.data_ptr() + row * torch.arange(count))
        d[step.INNER_BYTES] = row

    def _room(self, field: int, count: int, dtype: torch.dtype) -> Tensor:
        kept = aligned((count,), dtype)
        self._memory.append(kept)
        self._numbers[field] = kept.data_ptr()
        return kept


def _is_ours(layer: DecoderLayer) -> bool:
    mlp = layer.mlp
    dense: list[nn.Module] = [layer.self_attn.qkv, layer.self_attn.o_proj]
    if isinstance(mlp, SparseMLP):
        if not (isinstance(mlp.experts, InterleavedExperts) and type(mlp.gate) is Linear):
            return False
        if mlp.shared_expert is not None:
            dense += [mlp.shared_expert.gate_up, mlp.shared_expert.down_proj]
            if type(mlp.shared_expert_gate) is not Linear:
                return False
    else:
        gated = cast(GatedMLP, mlp)
        dense += [gated.gate_up, gated.down_proj]
    return all(isinstance(module, InterleavedLinear) for module in dense)


def _product(module: nn.Module) -> list[int]:
    return cast(InterleavedLinear, module).description


def _dense(mlp: GatedMLP) -> list[int]:
    return [*_product(mlp.gate_up), *_product(mlp.down_proj)]


def _read_bytes(layer: DecoderLayer) -> int:
    """Bytes of weights that a step reads of a layer, about."""
    total = 0
    for module in layer.modules():
        if isinstance(module, InterleavedLinear):
            total += module.weight.n_bytes
        elif isinstance(module, InterleavedExperts):
            each = (module.gate_up.n_bytes + module.down.n_bytes) // module.gate_up.shape[0]
            total += each * cast(SparseMLP, layer.mlp).top_k
    return total
