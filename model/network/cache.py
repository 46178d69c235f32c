"""Key/value caches of one conversation: preallocated, truncatable, forkable without a copy, compactable.

Layout: per layer one tensor of keys and one of values, each [Hkv, capacity, D]. Keys are stored already turned by
RoPE, so rows can be dropped or moved without touching the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from model.checkpoint.config import DecoderConfig

FIRST_CAPACITY = 256


class KVCache:
    """Keys and values of `length` positions. Owned by one session's thread.

    The capacity starts at `capacity` and doubles when needed, layer by layer; a device that wants fixed addresses
    (CUDA graphs) asks for all of it at once.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        device: torch.device,
        dtype: torch.dtype,
        capacity: int = FIRST_CAPACITY,
    ) -> None:
        shape = (config.num_key_value_heads, capacity, config.head_dim)
        self.keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.num_hidden_layers)]
        self.values = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.num_hidden_layers)]
        self.length = 0
        self.dtype = dtype
        self.device = device
        self._hole: tuple[int, int] | None = None

    @property
    def capacity(self) -> int:
        """Positions that fit before the buffers grow."""
        return self.keys[0].shape[1]

    def buffers(self) -> tuple[list[Tensor], ...]:
        """All memory of the cache: lists of one tensor per layer, positions along their second dimension."""
        return self.keys, self.values

    @property
    def n_bytes(self) -> int:
        """Bytes of all buffers."""
        return sum(tensor.nbytes for tensors in self.buffers() for tensor in tensors)

    @torch.inference_mode()
    def reserve(self, length: int) -> None:
        """Makes room for `length` positions in all."""
        if length <= self.capacity:
            return
        capacity = self.capacity
        while capacity < length:
            capacity *= 2
        for buffers in self.buffers():
            for layer, old in enumerate(buffers):
                new = old.new_zeros(old.shape[0], capacity, old.shape[2])
                new[:, : self.length] = old[:, : self.length]
                buffers[layer] = new

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k and v [T, Hkv, D] of one layer behind the current length.

        Returns all keys and values of the layer as views, [Hkv, length + T, D]. `advance` moves the length when all
        layers are done.
        """
        end = self.length + k.shape[0]
        if layer == 0:
            self.reserve(end)
        keys, values = self.keys[layer], self.values[layer]
        keys[:, self.length : end] = k.transpose(0, 1)
        values[:, self.length : end] = v.transpose(0, 1)
        return keys[:, :end], values[:, :end]

    def advance(self, count: int) -> None:
        """Counts `count` positions, written by all layers, as part of the cache."""
        self.length += count

    def mask(self, count: int) -> Tensor | None:
        """Which of the length + count positions each of `count` new ones may look at: [count, S] bool, or None: all."""
        if count == 1 and self._hole is None:
            return None
        mask = torch.ones(count, self.length + count, dtype=torch.bool, device=self.device)
        if count > 1:
            mask = mask.tril(self.length)
        if self._hole is not None:
            mask[:, self._hole[0] : self._hole[1]] = False
        return mask

    def truncate(self, length: int) -> None:
        """Forgets all positions from `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    @torch.inference_mode()  # buffers that have grown during a forward are inference tensors
    def keep(self, rows: Tensor) -> None:
        """Keeps only the given rows (ascending long indices), moved together in order."""
        count = rows.shape[0]
        rows = rows.to(self.device)
        for buffers in self.buffers():
            for buffer in buffers:
                buffer[:, :count] = buffer.index_select(1, rows)
        self.length = count

    @torch.inference_mode()
    def shift(self, start: int, delta: float, inv_freq: Tensor) -> None:
        """Moves the positions of all rows from `start` on by `delta`, on every axis, by turning their keys further.

        RoPE turns a key by position x frequency, so turning it again by delta x frequency is the key of the moved
        position. `inv_freq` [D/2]. The angles are computed in float64: delta may be large.
        """
        angles = inv_freq.double() * delta
        cos, sin = angles.cos().float(), angles.sin().float()
        for layer in range(len(self.keys)):
            first, second = self._keys(layer, start).chunk(2, dim=-1)
            turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
            self._set_keys(layer, start, turned)

    def _keys(self, layer: int, start: int) -> Tensor:
        """Keys of one layer from `start` on, float32 [Hkv, length - start, D]."""
        return self.keys[layer][:, start : self.length].float()

    def _set_keys(self, layer: int, start: int, keys: Tensor) -> None:
        self.keys[layer][:, start : self.length] = keys

    @contextmanager
    def fork(self, at: int) -> Iterator[None]:
        """Continues from position `at` beside the conversation, then forgets what was added. Copies nothing.

        New rows go behind the last one; the rows from `at` to there are hidden from them by the mask, which is exact
        because every key carries its own position.
        """
        if self._hole is not None:
            raise RuntimeError("this cache is forked already")
        length = self.length
        self._hole = (at, length) if at < length else None
        try:
            yield
        finally:
            self._hole = None
            self.length = length
