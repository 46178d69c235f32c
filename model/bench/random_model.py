"""A random model of any size, made where it runs: no file, no copy, packed weights drawn as they are stored.

For benchmarks on a card at the published size. What it says is noise; what it costs is real.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn

from model.bench.random_checkpoint import random_tensor
from model.bench.random_config import Json, make_tokenizer, processor_files, random_config
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import Shape, expected_tensors
from model.checkpoint.tokenizer import Tokenizer
from model.device import choose_device, choose_dtype, choose_graphs
from model.flash import Flash, assemble
from model.memory import Memory
from model.network.filling import Filler
from model.network.parts import build
from model.quant.formats import GetTensor
from model.quant.gathered import check_host_experts
from model.quant.packing import PackedWeight, QuantSpec
from model.quant.parts import Component, Policy
from model.quant.placement import PlacedStorage
from model.quant.storage import Backend, PackedEmbedding, backend_for

CPU = torch.device("cpu")


class RandomSource:
    """Tensors by name, drawn when they are asked for."""

    def __init__(self, shapes: dict[str, Shape], device: torch.device, seed: int) -> None:
        self._shapes = shapes
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def tensor(self, name: str) -> Tensor:
        return random_tensor(name, self._shapes[name], self.generator)

    def release(self, names: Iterable[str]) -> None:
        """Nothing is kept."""


class RandomStorage:
    """The loader's ``Storage`` that draws packed words instead of packing numbers; ``policy`` says which."""

    def __init__(
        self, policy: Policy, source: RandomSource, shapes: dict[str, Shape], dtype: torch.dtype, backend: Backend
    ) -> None:
        self._policy, self._source, self._shapes = policy, source, shapes
        self._dtype, self._backend = dtype, backend

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        spec = self._spec(names[0])
        if spec is None:
            return None
        n_outputs = sum(self._shapes[name][0] for name in names)
        return self._backend.linear(self._draw((n_outputs, self._shapes[names[0]][1]), spec), bias)

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        spec = self._spec(down[0])
        if spec is None:
            return None
        n_inner, n_inputs = self._shapes[gate_up[0][0]]
        stacked = self._draw((len(down), 2 * n_inner, n_inputs), spec)
        return self._backend.experts(stacked, self._draw((len(down), n_inputs, n_inner), spec))

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        spec = self._spec(name)
        return None if spec is None else PackedEmbedding(self._draw(self._shapes[name], spec), self._dtype)

    def _spec(self, name: str) -> QuantSpec | None:
        return self._policy.spec_of(name, self._shapes[name])

    def _draw(self, shape: Shape, spec: QuantSpec) -> PackedWeight:
        """Uniform levels around the middle, scaled so that a product keeps its size."""
        *lead, n_inputs = shape
        generator = self._source.generator
        size = (*lead, spec.n_words(n_inputs))
        words = torch.empty(size, dtype=torch.int32, device=generator.device).random_(
            -(2**31), 2**31 - 1, generator=generator
        )
        n_groups = spec.n_groups(n_inputs)
        spread = spec.n_levels / 12**0.5  # standard deviation of the levels
        scale = torch.full((*lead, n_groups), 1 / (spread * n_inputs**0.5), dtype=self._dtype, device=generator.device)
        zero = None
        if not spec.symmetric:
            zero = torch.full((*lead, n_groups), spec.middle, dtype=torch.uint8, device=generator.device)
        return PackedWeight(words, scale, zero, n_inputs, spec)


def random_model(
    published: Json,
    policy: Policy,
    *,
    device: str = "auto",
    dtype: str = "auto",
    memory: Memory | None = None,
    graphs: str = "auto",
    seed: int = 0,
    on_part: Callable[[str], None] | None = None,
) -> Flash:
    """A model of the shapes in `published` (a config.json) with random weights, on `device`.

    `on_part` is told each part's name when its weights are there. Token ids are replaced by those of a small tokenizer.
    """
    content = with_small_tokenizer(published)
    config = parse_config(content)
    where = choose_device(device)
    number_type = choose_dtype(dtype, config.dtype, where)
    memory = Memory() if memory is None else memory
    shapes = expected_tensors(config)
    mode = choose_graphs(graphs, where)
    check_host_experts(memory, is_packed=Component.THINKER_EXPERTS in policy.storage, mode=mode)

    def storage(place: torch.device, backend: Backend) -> RandomStorage:
        return RandomStorage(policy, RandomSource(shapes, place, seed), shapes, number_type, backend)

    chosen: RandomStorage | PlacedStorage = storage(where, backend_for(where, recorded=mode != "off"))
    if memory.embedding_on_host or memory.host_expert_layers:
        chosen = PlacedStorage(
            chosen, storage(CPU, Backend()), memory, device=where, dtype=number_type, backend=backend_for(where)
        )
    source = RandomSource(shapes, where, seed + 1)
    filler = Filler(source, device=where, dtype=number_type, storage=chosen)
    waves = Filler(source, device=where, dtype=torch.float32)
    parts = build(config)
    for name, module, prefix in parts.places():
        (waves if name == "code2wav" else filler).fill(module, prefix)
        if on_part is not None:
            on_part(name)
    with tempfile.TemporaryDirectory(prefix="sightline-random-") as folder:
        path = Path(folder)
        make_tokenizer().save(str(path / "tokenizer.json"))
        for file, text in processor_files().items():
            (path / file).write_text(json.dumps(text), encoding="utf-8")
        (path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        return assemble(
            path,
            config,
            parts,
            Tokenizer.load(path),
            device=where,
            dtype=number_type,
            memory=memory,
            mode=mode,
        )


def with_small_tokenizer(published: Json) -> Json:
    """`published` with the token ids of the tokenizer that random checkpoints have."""
    ids = random_config(make_tokenizer())
    content = deepcopy(published)
    for ours, theirs in (
        (content, ids),
        (content["thinker_config"], ids["thinker_config"]),
        (content["talker_config"], ids["talker_config"]),
    ):
        for name in ours:
            if name.endswith("_token_id") and not name.startswith("codec_") and name in theirs:
                ours[name] = theirs[name]
    return content
