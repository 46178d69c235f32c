"""The Thinker over packed rows: the reference's modules and weights, laid out for speed on a CPU.

All tokens of a batch lie in one flat list (no padding in the matrix products and the experts); only the attention is
done row by row, padded. The system turn is computed once for all rows. A test holds the logits equal to the
reference's on rows with one branch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from training import hearing_audio, vision
from training.sequences import Row

_IGNORED = -100


@dataclass
class Batch:
    """Rows with the sounds (16 kHz) and pictures (uint8 [H, W, 3]) that they refer to by number."""

    system: list[int]
    rows: list[Row]
    sounds: list[npt.NDArray[np.float32]]
    pictures: list[npt.NDArray[np.uint8]]
    tilt: torch.Tensor | None = None


@dataclass
class Output:
    """Logits at the places where something is learnt, what is learnt there, and which row and branch it belongs to."""

    logits: torch.Tensor
    targets: torch.Tensor
    owners: list[tuple[int, int]]
    balance: torch.Tensor


@dataclass
class _Group:
    """Rows of like length, whose attention is done together."""

    index: torch.Tensor  # [B, L] into the flat list, 0 where padded
    mask: torch.Tensor  # [B, 1, L, n_system + L], 0 or -inf
    tokens: torch.Tensor  # places in the flat list of all true tokens
    slots: torch.Tensor  # their places in the padded [B * L]


@dataclass
class _Layout:
    """Where each token of the flat list lies: the system turn, then the rows."""

    n_system: int
    groups: list[_Group]
    index: torch.Tensor  # all groups' indices one after the other


_ROWS_PER_GROUP, _SLOTS_PER_GROUP = 4, 1600


def device_of(thinker: Any) -> torch.device:
    """Where the Thinker's weights are."""
    device: torch.device = thinker.lm_head.weight.device
    return device


def _layout(batch: Batch, device: torch.device) -> _Layout:
    n_system = len(batch.system)
    starts, start = [], n_system
    for row in batch.rows:
        starts.append(start)
        start += len(row)
    order = sorted(range(len(batch.rows)), key=lambda number: len(batch.rows[number]))
    groups = []
    while order:
        n_rows = max(1, min(_ROWS_PER_GROUP, _SLOTS_PER_GROUP // len(batch.rows[order[0]])))
        numbers, order = order[:n_rows], order[n_rows:]
        group = _group(batch, numbers, [starts[number] for number in numbers])
        groups.append(_Group(*(part.to(device) for part in group)))
    return _Layout(n_system, groups, torch.cat([group.index.flatten() for group in groups]))


def _group(batch: Batch, numbers: list[int], starts: list[int]) -> tuple[torch.Tensor, ...]:
    """The fields of a `_Group`."""
    n_system, longest = len(batch.system), max(len(batch.rows[number]) for number in numbers)
    index = torch.zeros(len(numbers), longest, dtype=torch.long)
    allowed = torch.zeros(len(numbers), longest, n_system + longest, dtype=torch.bool)
    tokens, slots = [], []
    for place, (number, start) in enumerate(zip(numbers, starts, strict=True)):
        n = len(batch.rows[number])
        index[place, :n] = torch.arange(start, start + n)
        tokens.append(torch.arange(start, start + n))
        slots.append(torch.arange(n) + place * longest)
        branch = torch.tensor(batch.rows[number].branches)
        sees = (branch[None] == 0) | (branch[None] == branch[:, None])
        allowed[place, :, :n_system] = True
        allowed[place, :n, n_system : n_system + n] = sees & torch.ones(n, n, dtype=torch.bool).tril()
    if n_system == 0:  # padded queries must see something
        allowed[:, :, 0] |= ~allowed.any(-1)
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, float("-inf"))[:, None]
    return index, mask, torch.cat(tokens), torch.cat(slots)


def encode_sounds(thinker: Any, batch: Batch) -> list[torch.Tensor]:
    """Embeddings of every sound: a list of [tokens, hidden]. Sounds of like length are encoded together."""
    tower = thinker.model.audio_tower
    out: list[torch.Tensor] = [torch.zeros(0)] * len(batch.sounds)
    order = sorted(range(len(batch.sounds)), key=lambda number: len(batch.sounds[number]))
    for first in range(0, len(order), 8):
        group = order[first : first + 8]
        tilt = None if batch.tilt is None else batch.tilt[group]
        sounds = [batch.sounds[n] for n in group]
        features = hearing_audio.features(sounds, tower.num_mel_bins, tilt, device_of(thinker))
        embeddings = hearing_audio.encode(tower, features)
        for place, number in enumerate(group):
            out[number] = embeddings[place, : features.n_tokens[place]]
    return out


def encode_pictures(thinker: Any, batch: Batch) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """Embeddings of every picture and its DeepStack levels: a list of ([tokens, hidden], levels)."""
    tower = thinker.model.visual
    out: list[tuple[torch.Tensor, list[torch.Tensor]]] = [(torch.zeros(0), [])] * len(batch.pictures)
    shapes = sorted({picture.shape[:2] for picture in batch.pictures})
    for height, width in shapes:
        group = [n for n, picture in enumerate(batch.pictures) if picture.shape[:2] == (height, width)]
        patches = vision.patches([batch.pictures[n] for n in group]).to(device_of(thinker))
        merged, deep = vision.encode(tower, patches, height, width)
        for place, number in enumerate(group):
            out[number] = merged[place], [level[place] for level in deep]
    return out


def _embed(thinker: Any, batch: Batch, frozen_encoders: bool) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Input embeddings [N, hidden], places of picture tokens, and the DeepStack levels at those places."""
    device = device_of(thinker)
    ids = torch.tensor(batch.system + [token for row in batch.rows for token in row.ids], device=device)
    x = thinker.model.language_model.embed_tokens(ids)
    with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen_encoders):
        sounds = encode_sounds(thinker, batch)
        pictures = encode_pictures(thinker, batch)
    places: dict[str, list[int]] = {"sound": [], "picture": []}
    wanted: dict[str, list[int]] = {"sound": [], "picture": []}
    sound_starts, picture_starts = _starts(sounds), _starts([merged for merged, _ in pictures])
    at = len(batch.system)
    for row in batch.rows:
        for source in row.sources:
            if source is not None:
                kind, number, index = source
                places[kind].append(at)
                wanted[kind].append((sound_starts if kind == "sound" else picture_starts)[number] + index)
            at += 1
    if sounds:
        found = torch.cat(sounds)[torch.tensor(wanted["sound"], device=device)]
        x = x.index_copy(0, torch.tensor(places["sound"], device=device), found.to(x.dtype))
    levels = []
    if pictures:
        pick = torch.tensor(wanted["picture"], device=device)
        found = torch.cat([merged for merged, _ in pictures])[pick]
        x = x.index_copy(0, torch.tensor(places["picture"], device=device), found.to(x.dtype))
        levels = [torch.cat(level)[pick] for level in zip(*(deep for _, deep in pictures), strict=True)]
    return x, torch.tensor(places["picture"], dtype=torch.long, device=device), levels


def _starts(pieces: list[torch.Tensor]) -> list[int]:
    starts, start = [], 0
    for piece in pieces:
        starts.append(start)
        start += len(piece)
    return starts


def _normed(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def _turned(
    x: torch.Tensor, weight: torch.Tensor, epsilon: float, cos: torch.Tensor, sin: torch.Tensor
) -> torch.Tensor:
    """Heads [N, H, D], normed and turned by their rotary positions [N, D]."""
    first, second = _normed(x, weight, epsilon).chunk(2, -1)
    cos, sin = (part[:, None, : first.shape[-1]] for part in (cos, sin))  # both halves of the positions are equal
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)


def _gated(both: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """SwiGLU of an expert's gate and up halves [N, 2 * inner], times the expert's weight for each token [N]."""
    gate, up = both.chunk(2, -1)
    return F.silu(gate) * up * weight[:, None]


def compile_elementwise() -> None:
    """Fuse what lies between the matrix products: saves a sixth of a step on a CPU. Needs a C++ compiler."""
    for function in (_normed, _turned, _gated):
        globals()[function.__name__] = torch.compile(function, dynamic=True)


def _rms(norm: Any, x: torch.Tensor) -> torch.Tensor:
    return _normed(x, norm.weight, norm.variance_epsilon)


def _head_norm(norm: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    return _turned(x, norm.weight, norm.variance_epsilon, cos, sin)


KeyValue = tuple[torch.Tensor, torch.Tensor]


def _attend(
    layer: Any, x: torch.Tensor, layout: _Layout, cos: torch.Tensor, sin: torch.Tensor, kept: list[KeyValue] | None
) -> torch.Tensor:
    """Attention over [N, hidden]; keys and values [N, heads, D] are appended to `kept` when given."""
    attention = layer.self_attn
    head_dim, n_tokens = attention.head_dim, x.shape[0]
    query = _head_norm(attention.q_norm, attention.q_proj(x).view(n_tokens, -1, head_dim), cos, sin)
    key = _head_norm(attention.k_norm, attention.k_proj(x).view(n_tokens, -1, head_dim), cos, sin)
    value = attention.v_proj(x).view(n_tokens, -1, head_dim)
    groups = attention.num_key_value_groups
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)  # [N, H, D]
    if kept is not None:
        kept.append((key, value))
    n_system = layout.n_system
    pieces = []
    if n_system:
        q, k, v = (t[:n_system].transpose(0, 1)[None] for t in (query, key, value))
        pieces.append(F.scaled_dot_product_attention(q, k, v, is_causal=True)[0].transpose(0, 1).flatten(1))
    # One gather for all rows: its backward writes one tensor, not one a row group.
    padded = torch.cat((query, key, value), 1).index_select(0, layout.index)  # [slots, 3 * H, D]
    heads, order = query.shape[1], [torch.arange(n_system, device=x.device)]
    system_kv = [t[:n_system].transpose(0, 1)[None] for t in (key, value)]
    sizes = [group.index.numel() for group in layout.groups]
    for group, part in zip(layout.groups, padded.split(sizes), strict=True):
        rows, longest = group.index.shape
        q, k, v = part.view(rows, longest, 3, heads, head_dim).permute(2, 0, 3, 1, 4)
        k, v = (
            torch.cat((whole.expand(rows, -1, -1, -1), own), 2) for whole, own in zip(system_kv, (k, v), strict=True)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=group.mask)
        pieces.append(y.transpose(1, 2).reshape(rows * longest, -1)[group.slots])
        order.append(group.tokens)
    flat = torch.cat(pieces)
    out: torch.Tensor = attention.o_proj(torch.empty_like(flat).index_copy(0, torch.cat(order), flat))
    return out


def _experts(block: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The expert layer over [N, hidden], and its load balance loss (1 when even)."""
    gate, experts = block.gate, block.experts
    probabilities = F.linear(x, gate.weight).softmax(-1)
    top, chosen = probabilities.topk(gate.top_k, -1)
    top = top / top.sum(-1, keepdim=True)
    out = torch.zeros_like(x)
    shares = []
    # unbind, not indexing: the backward of an index fills a tensor of all experts for each of them.
    weights = zip(experts.gate_up_proj.unbind(0), experts.down_proj.unbind(0), strict=True)
    for number, (gate_up, down) in enumerate(weights):
        token, rank = (chosen == number).nonzero(as_tuple=True)
        shares.append(len(token))
        if len(token):
            inner = _gated(F.linear(x.index_select(0, token), gate_up), top[token, rank])
            out = out.index_add(0, token, F.linear(inner, down).to(out.dtype))
    load = torch.tensor(shares, dtype=torch.float32, device=x.device) / max(1, sum(shares))
    return out, experts.num_experts * (load * probabilities.mean(0)).sum()


def hidden_states(
    thinker: Any, batch: Batch, *, frozen_encoders: bool = False, kept: list[KeyValue] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The decoder's last hidden states [N, hidden], and the load balance loss of its experts."""
    model = thinker.model.language_model
    layout = _layout(batch, device_of(thinker))
    x, picture_places, levels = _embed(thinker, batch, frozen_encoders)
    system = [(float(n),) * 3 for n in range(layout.n_system)]
    positions = torch.tensor(system + [place for row in batch.rows for place in row.positions]).T[:, None]  # [3, 1, N]
    cos, sin = (part[0] for part in model.rotary_emb(x, positions.to(x.device).contiguous()))
    balance = x.new_zeros(())
    for number, layer in enumerate(model.layers):
        x = x + _attend(layer, _rms(layer.input_layernorm, x), layout, cos, sin, kept)
        y, uneven = _experts(layer.mlp, _rms(layer.post_attention_layernorm, x))
        x = x + y
        balance = balance + uneven
        if number < len(levels):
            x = x.index_add(0, picture_places, levels[number].to(x.dtype))
    return _rms(model.norm, x), balance / len(model.layers)


def forward(thinker: Any, batch: Batch, *, frozen_encoders: bool = False) -> Output:
    """Logits where the batch learns something."""
    hidden, balance = hidden_states(thinker, batch, frozen_encoders=frozen_encoders)
    places, targets, owners = learnt_places(batch)
    at = torch.tensor(places, device=hidden.device)
    return Output(thinker.lm_head(hidden[at]).float(), torch.tensor(targets, device=hidden.device), owners, balance)


@torch.no_grad()
def decode(
    thinker: Any, batch: Batch, *, end: int, max_tokens: int, hopeless: Callable[[int, list[int]], bool] | None = None
) -> list[list[int]]:
    """Greedy continuation of every row (one branch each, nothing learnt in it), without the `end` token.

    `hopeless(row, tokens)` is asked after each token whether the rest of that row is of no interest.
    """
    model = thinker.model.language_model
    kept: list[KeyValue] = []
    hidden, _ = hidden_states(thinker, batch, kept=kept)
    n_system, lengths = len(batch.system), [len(row) for row in batch.rows]
    device, count = device_of(thinker), len(batch.rows)
    width = n_system + max(lengths)
    index = torch.zeros(count, width, dtype=torch.long)
    index[:, :n_system] = torch.arange(n_system)
    mask = torch.full((count, width + max_tokens), float("-inf"))
    start = n_system
    for number, length in enumerate(lengths):
        index[number, n_system : n_system + length] = torch.arange(start, start + length)
        mask[number, : n_system + length] = 0
        start += length
    index, mask = index.to(device), mask.to(device)[:, None, None]
    caches = []
    for pair in kept:
        parts = [part[index.flatten()].view(count, width, *part.shape[1:]).transpose(1, 2) for part in pair]
        caches.append([F.pad(part, (0, 0, 0, max_tokens)) for part in parts])  # [B, H, width + max_tokens, D]
    last = index[torch.arange(count, device=device), torch.tensor(lengths, device=device) + n_system - 1]
    token = thinker.lm_head(hidden[last]).argmax(-1)
    position = torch.tensor([max(row.positions[-1]) + 1 for row in batch.rows], device=device)
    written: list[list[int]] = [[] for _ in range(count)]
    rows = list(range(count))  # the rows still open, in the order of the tensors
    for place in range(width, width + max_tokens):
        still = []
        for slot, (row, value) in enumerate(zip(rows, token.tolist(), strict=True)):
            if value == end:
                continue
            written[row].append(value)
            if hopeless is None or not hopeless(row, written[row]):
                still.append(slot)
        if not still:
            break
        if len(still) < len(rows):
            rows = [rows[slot] for slot in still]
            pick = torch.tensor(still, device=device)
            token, position, mask = token[pick], position[pick], mask[pick]
            caches = [[part[pick] for part in pair] for pair in caches]
        mask[..., place] = 0
        x = model.embed_tokens(token)
        cos, sin = (part[0] for part in model.rotary_emb(x, position.expand(3, 1, -1)))
        for number, layer in enumerate(model.layers):
            y = _rms(layer.input_layernorm, x)
            attention = layer.self_attn
            parts = [projection(y).view(len(rows), -1, attention.head_dim)
                     for projection in (attention.q_proj, attention.k_proj, attention.v_proj)]  # fmt: skip
            query = _head_norm(attention.q_norm, parts[0], cos, sin)[:, :, None]
            key = _head_norm(attention.k_norm, parts[1], cos, sin)
            for cache, new in zip(caches[number], (key, parts[2]), strict=True):
                cache[:, :, place] = new.repeat_interleave(attention.num_key_value_groups, 1)
            keys, values = (cache[:, :, : place + 1] for cache in caches[number])
            z = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask[..., : place + 1])
            x = x + attention.o_proj(z[:, :, 0].flatten(1))
            x = x + _experts(layer.mlp, _rms(layer.post_attention_layernorm, x))[0]
        token = thinker.lm_head(_rms(model.norm, x)).argmax(-1)
        position = position + 1
    return written


def learnt_places(batch: Batch) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Places in the flat list whose next token is learnt, that token, and (row, branch)."""
    places, targets, owners = [], [], []
    start = len(batch.system)
    for number, row in enumerate(batch.rows):
        for index in range(1, len(row)):
            if row.learn[index]:
                places.append(start + index - 1)
                targets.append(row.ids[index])
                owners.append((number, row.branches[index]))
        start += len(row)
    return places, targets, owners
