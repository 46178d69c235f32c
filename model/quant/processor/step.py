"""One position through a whole decoder in one call: every layer's products, attention and experts, on all threads.

A token is some five hundred small pieces of work that need each other. Called one by one from Python they cost more
than the products of a small model, and they leave the second thread waiting; here they are the phases of one kernel
(see `team`). The plain twin is `model.network.decoder.Decoder.forward`, to which the tests hold it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, njit

from model.quant.processor.layout import LANES
from model.quant.processor.products import (
    BLOCKS,
    CHUNKS_PER_THREAD,
    INPUTS,
    N_FIELDS,
    add_bias,
    block_of,
    exponential,
    floats,
    gate,
    quantise,
    tile_one,
)
from model.quant.processor.team import finish, take, wait
from model.quant.processor.vector import (
    bits_of_float,
    float_of_bits,
    float_of_half,
    half_of_float,
    pointer,
)

# A layer: matrices, then addresses and numbers.
QKV, O_PROJ, GATE_UP, DOWN, SHARED_GATE_UP, SHARED_DOWN = (N_FIELDS * number for number in range(6))
(BEFORE_ATTENTION, BEFORE_MLP, HEAD_NORMS, ROUTER, SHARED_GATE, KEYS, VALUES, KEY_SCALES, VALUE_SCALES, N_EXPERTS,
 TOP_K, NORMALISES, HAS_SHARED) = range(6 * N_FIELDS, 6 * N_FIELDS + 13)  # fmt: skip
N_LAYER_FIELDS = HAS_SHARED + 1

# A decoder.
(LAYERS, N_LAYERS, HIDDEN, Q_HEADS, KV_HEADS, HEAD_DIM, EPS, FINAL_NORM, CACHE_KIND, CAPACITY, THREADS, X, NORMED, OUT,
 ACTIVATION, ROW_AT, PROJECTED, ATTENDED, SCORES, LOGITS, CHOSEN, GATES, BOTH, INNER, INNER_BYTES, INNER_AT,
 SHARED_ACTIVATION, SHARED_ROW_AT) = range(28)  # fmt: skip
N_DECODER_FIELDS = SHARED_ROW_AT + 1
# One step: where in the cache, its angles, what it may not look at, what to keep beside the output.
LENGTH, COS, SIN, MASK, CAPTURE, CAPTURED = range(6)
N_STEP_FIELDS = CAPTURED + 1

FLOAT32_CACHE, BFLOAT16_CACHE, INT8_CACHE = range(3)
INT8_LEVELS = 127.0


@njit(nogil=True, cache=True, fastmath=True)
def normalise(x, weight, eps, to):
    """Root mean square norm of float32 x [n] with a weight, into `to`."""
    total = np.float32(0.0)
    for i in range(weight.shape[0]):
        total += x[i] * x[i]
    factor = np.float32(1.0 / math.sqrt(total / weight.shape[0] + eps))
    for i in range(weight.shape[0]):
        to[i] = x[i] * factor * weight[i]


@njit(nogil=True, cache=True, fastmath=True)
def dot(a, b):
    total = np.float32(0.0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@njit(nogil=True, cache=True)
def n_parts(n_blocks, threads):
    """Chunks that so many blocks are cut into."""
    return 1 if threads == 1 else min(n_blocks, CHUNKS_PER_THREAD * threads)


@njit(nogil=True, cache=True)
def project(m, chunk, n_chunks, row_at, out):
    """A share of a matrix's outputs for one row."""
    for block in range(chunk * m[BLOCKS] // n_chunks, (chunk + 1) * m[BLOCKS] // n_chunks):
        words, scale, zero = block_of(m, block)
        tile_one(m, words, scale, zero, row_at, out + 4 * LANES * block)
        add_bias(m, block, out + 4 * LANES * block, 0, 1)


@njit(nogil=True, cache=True)
def add_projected(m, chunk, n_chunks, row_at, scratch, x):
    """The same, added to x."""
    project(m, chunk, n_chunks, row_at, scratch)
    first, last = chunk * m[BLOCKS] // n_chunks, (chunk + 1) * m[BLOCKS] // n_chunks
    made = floats(scratch, LANES * m[BLOCKS])
    for i in range(LANES * first, LANES * last):
        x[i] += made[i]


@njit(nogil=True, cache=True, fastmath=True)
def turn(head, weight, eps, cos, sin, to):
    """A head's norm and rotation: float32 [D] -> `to` [D]; sin is signed."""
    size = cos.shape[0]
    half = size // 2
    total = np.float32(0.0)
    for i in range(size):
        total += head[i] * head[i]
    factor = np.float32(1.0 / math.sqrt(total / size + eps))
    for i in range(half):
        first, second = head[i] * weight[i] * factor, head[i + half] * weight[i + half] * factor
        to[i] = first * cos[i] + second * sin[i]
        to[i + half] = second * cos[i + half] + first * sin[i + half]


@njit(nogil=True, cache=True)
def _bfloat16(x):
    bits = bits_of_float(x)
    return np.uint16((bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16))


@njit(nogil=True, cache=True, fastmath=True)
def keep(kind, row, at, scale_at, count):
    """Writes a key or a value, float32 [D], as row number `count` of a cache's head."""
    size = row.shape[0]
    if kind == FLOAT32_CACHE:
        to = floats(at + 4 * count * size, size)
        for i in range(size):
            to[i] = row[i]
    elif kind == BFLOAT16_CACHE:
        halves = carray(pointer(at + 2 * count * size), (size,), np.uint16)
        for i in range(size):
            halves[i] = _bfloat16(row[i])
    else:
        largest = np.float32(0.0)
        for i in range(size):
            largest = max(largest, abs(row[i]))
        half = half_of_float(largest / np.float32(INT8_LEVELS))
        carray(pointer(scale_at), (count + 1,), np.uint16)[count] = half
        scale = float_of_half(half)
        inverse = np.float32(1.0) / scale if scale > np.float32(0.0) else np.float32(0.0)
        levels = carray(pointer(at + count * size), (size,), np.int8)
        for i in range(size):
            level = math.floor(row[i] * inverse + np.float32(0.5))
            levels[i] = np.int8(min(max(level, np.float32(-INT8_LEVELS)), np.float32(INT8_LEVELS)))


@njit(nogil=True, cache=True, fastmath=True)
def look(kind, at, scale_at, row, size, to):
    """Row number `row` of a cache's head as float32 [D]."""
    if kind == FLOAT32_CACHE:
        rows = floats(at + 4 * row * size, size)
        for i in range(size):
            to[i] = rows[i]
    elif kind == BFLOAT16_CACHE:
        halves = carray(pointer(at + 2 * row * size), (size,), np.uint16)
        for i in range(size):
            to[i] = float_of_bits(np.int32(np.uint32(halves[i]) << np.uint32(16)))
    else:
        scale = float_of_half(carray(pointer(scale_at), (row + 1,), np.uint16)[row])
        levels = carray(pointer(at + row * size), (size,), np.int8)
        for i in range(size):
            to[i] = np.float32(levels[i]) * scale


@njit(nogil=True, cache=True, fastmath=True)
def attend(d, layer, step, head):
    """One key head: keeps the new key and value, and looks with the query heads that share it at all rows."""
    size, capacity, kind, length = d[HEAD_DIM], d[CAPACITY], d[CACHE_KIND], step[LENGTH]
    n_queries = d[Q_HEADS] // d[KV_HEADS]
    heads = floats(d[PROJECTED], (d[Q_HEADS] + 2 * d[KV_HEADS]) * size)
    norms = floats(layer[HEAD_NORMS], (d[Q_HEADS] + d[KV_HEADS]) * size)
    cos, sin = floats(step[COS], size), floats(step[SIN], size)
    eps = floats(d[EPS], 1)[0]
    width = 4 if kind == FLOAT32_CACHE else (2 if kind == BFLOAT16_CACHE else 1)
    keys, values = layer[KEYS] + head * capacity * size * width, layer[VALUES] + head * capacity * size * width
    key_scales, value_scales = layer[KEY_SCALES] + 2 * head * capacity, layer[VALUE_SCALES] + 2 * head * capacity
    # Scratch of this head: scores of each query, then turned queries, then one row.
    room = capacity + 1
    scratch = floats(d[SCORES] + 4 * head * (n_queries * (room + size) + size), n_queries * (room + size) + size)
    queries = scratch[n_queries * room : n_queries * (room + size)]
    row = scratch[n_queries * (room + size) :]
    at = (d[Q_HEADS] + head) * size
    turn(heads[at : at + size], norms[at : at + size], eps, cos, sin, row)
    keep(kind, row, keys, key_scales, length)
    at += d[KV_HEADS] * size
    keep(kind, heads[at : at + size], values, value_scales, length)
    for query in range(n_queries):
        at = (head * n_queries + query) * size
        to = queries[query * size : (query + 1) * size]
        turn(heads[at : at + size], norms[at : at + size], eps, cos, sin, to)
    hidden = carray(pointer(step[MASK]), (length + 1,), np.uint8)
    for s in range(length + 1):
        look(kind, keys, key_scales, s, size, row)
        for query in range(n_queries):
            score = dot(queries[query * size : (query + 1) * size], row)
            scratch[query * room + s] = score
    if step[MASK]:
        for s in range(length + 1):
            if hidden[s]:
                for query in range(n_queries):
                    scratch[query * room + s] = np.float32(-1e30)
    out = floats(d[ATTENDED], d[Q_HEADS] * size)
    for query in range(n_queries):
        scores = scratch[query * room : query * room + length + 1]
        largest = np.float32(-1e30)
        for s in range(length + 1):
            largest = max(largest, scores[s])
        total = np.float32(0.0)
        for s in range(length + 1):
            scores[s] = exponential(scores[s] - largest)
            total += scores[s]
        inverse = np.float32(1.0) / total
        for s in range(length + 1):
            scores[s] *= inverse
        at = (head * n_queries + query) * size
        for i in range(at, at + size):
            out[i] = np.float32(0.0)
    for s in range(length + 1):
        look(kind, values, value_scales, s, size, row)
        for query in range(n_queries):
            share = scratch[query * room + s]
            at = (head * n_queries + query) * size
            for i in range(size):
                out[at + i] += share * row[i]


@njit(nogil=True, cache=True)
def choose(d, layer):
    """From the router's logits: the experts [K] and their gates [K], and the shared expert's behind them."""
    n_experts, top_k = layer[N_EXPERTS], layer[TOP_K]
    logits = floats(d[LOGITS], n_experts + 1)
    chosen = carray(pointer(d[CHOSEN]), (top_k + 1,), np.int64)
    gates = floats(d[GATES], top_k + 1)
    largest = logits[0]
    for expert in range(n_experts):
        largest = max(largest, logits[expert])
    total = np.float32(0.0)
    for expert in range(n_experts):
        logits[expert] = exponential(logits[expert] - largest)
        total += logits[expert]
    of_chosen = np.float32(0.0)
    for place in range(top_k):
        best = 0
        for expert in range(n_experts):
            if logits[expert] > logits[best]:
                best = expert
        chosen[place] = best
        gates[place] = logits[best]
        of_chosen += logits[best]
        logits[best] = np.float32(-1.0)
    divisor = of_chosen if layer[NORMALISES] else total
    for place in range(top_k):
        gates[place] /= divisor
    if layer[HAS_SHARED]:
        gates[top_k] = np.float32(1.0) / (np.float32(1.0) + exponential(-logits[n_experts]))


@njit(nogil=True, cache=True)
def run_layers(sync, t, begun, d, step):
    """All layers and the final norm for the row at d[X]; the result lies at d[OUT]. Returns the next ticket and phase.

    A dense layer is a layer with one expert that is always chosen.
    """
    threads, hidden = d[THREADS], d[HIDDEN]
    layers = carray(pointer(d[LAYERS]), (d[N_LAYERS], N_LAYER_FIELDS), np.int64)
    x, normed = floats(d[X], hidden + LANES), floats(d[NORMED], hidden)
    eps = floats(d[EPS], 1)[0]
    chosen = carray(pointer(d[CHOSEN]), (64,), np.int64)
    gates = floats(d[GATES], 64)
    for number in range(d[N_LAYERS]):
        layer = layers[number]
        qkv, o_proj = layer[QKV : QKV + N_FIELDS], layer[O_PROJ : O_PROJ + N_FIELDS]
        while t < begun + 1:
            wait(sync, begun)
            if step[CAPTURE] == number:
                floats(step[CAPTURED], hidden)[:] = x[:hidden]
            normalise(x, floats(layer[BEFORE_ATTENTION], hidden), eps, normed)
            quantise(normed, d[ACTIVATION], qkv)
            t = finish(sync)
        begun += 1
        n_chunks = n_parts(qkv[BLOCKS], threads)
        while t < begun + n_chunks:
            wait(sync, begun)
            project(qkv, t - begun, n_chunks, d[ROW_AT], d[PROJECTED])
            t = finish(sync)
        begun += n_chunks
        while t < begun + d[KV_HEADS]:
            wait(sync, begun)
            attend(d, layer, step, t - begun)
            t = finish(sync)
        begun += d[KV_HEADS]
        while t < begun + 1:
            wait(sync, begun)
            quantise(floats(d[ATTENDED], o_proj[INPUTS]), d[ACTIVATION], o_proj)
            t = finish(sync)
        begun += 1
        n_chunks = n_parts(o_proj[BLOCKS], threads)
        while t < begun + n_chunks:
            wait(sync, begun)
            add_projected(o_proj, t - begun, n_chunks, d[ROW_AT], d[PROJECTED], x)
            t = finish(sync)
        begun += n_chunks

        gate_up, down = layer[GATE_UP : GATE_UP + N_FIELDS], layer[DOWN : DOWN + N_FIELDS]
        shared_gate_up = layer[SHARED_GATE_UP : SHARED_GATE_UP + N_FIELDS]
        shared_down = layer[SHARED_DOWN : SHARED_DOWN + N_FIELDS]
        n_experts, top_k = layer[N_EXPERTS], layer[TOP_K]
        while t < begun + 1:
            wait(sync, begun)
            normalise(x, floats(layer[BEFORE_MLP], hidden), eps, normed)
            quantise(normed, d[ACTIVATION], gate_up)
            if layer[HAS_SHARED]:
                quantise(normed, d[SHARED_ACTIVATION], shared_gate_up)
            if not layer[ROUTER]:
                chosen[0] = 0
                gates[0] = np.float32(1.0)
            t = finish(sync)
        begun += 1
        if layer[ROUTER]:
            n_chunks = n_parts(n_experts // 8 + 1, threads)
            logits = floats(d[LOGITS], n_experts + 1)
            while t < begun + n_chunks:
                wait(sync, begun)
                chunk = t - begun
                for expert in range(chunk * n_experts // n_chunks, (chunk + 1) * n_experts // n_chunks):
                    logits[expert] = dot(floats(layer[ROUTER] + 4 * expert * hidden, hidden), normed)
                if chunk == 0 and layer[HAS_SHARED]:
                    logits[n_experts] = dot(floats(layer[SHARED_GATE], hidden), normed)
                t = finish(sync)
            begun += n_chunks
            while t < begun + 1:
                wait(sync, begun)
                choose(d, layer)
                t = finish(sync)
            begun += 1
        n_slots = top_k + layer[HAS_SHARED]
        n_each = (n_parts(gate_up[BLOCKS], threads) + n_slots - 1) // n_slots
        both_size = 4 * LANES * max(gate_up[BLOCKS], shared_gate_up[BLOCKS])
        while t < begun + n_slots * n_each:
            wait(sync, begun)
            slot, chunk = (t - begun) // n_each, (t - begun) % n_each
            if slot < top_k:
                first = chosen[slot] * gate_up[BLOCKS]
                for block in range(chunk * gate_up[BLOCKS] // n_each, (chunk + 1) * gate_up[BLOCKS] // n_each):
                    words, scale, zero = block_of(gate_up, first + block)
                    at = d[BOTH] + slot * both_size + 4 * LANES * block
                    tile_one(gate_up, words, scale, zero, d[ROW_AT], at)
            else:
                project(shared_gate_up, chunk, n_each, d[SHARED_ROW_AT], d[BOTH] + slot * both_size)
            t = finish(sync)
        begun += n_slots * n_each
        while t < begun + n_slots:
            wait(sync, begun)
            slot = t - begun
            matrix = down if slot < top_k else shared_down
            both = floats(d[BOTH] + slot * both_size, 2 * matrix[INPUTS])
            gate(both, matrix[INPUTS], both)
            quantise(both[: matrix[INPUTS]], d[INNER] + slot * d[INNER_BYTES], matrix)
            t = finish(sync)
        begun += n_slots
        n_chunks = n_parts(down[BLOCKS], threads)
        while t < begun + n_chunks:
            wait(sync, begun)
            chunk = t - begun
            for block in range(chunk * down[BLOCKS] // n_chunks, (chunk + 1) * down[BLOCKS] // n_chunks):
                made = floats(d[PROJECTED] + 4 * LANES * block, LANES)
                for slot in range(n_slots):
                    matrix = down if slot < top_k else shared_down
                    index = chosen[slot] * down[BLOCKS] + block if slot < top_k else block
                    words, scale, zero = block_of(matrix, index)
                    at = d[PROJECTED] + 4 * LANES * block
                    tile_one(matrix, words, scale, zero, d[INNER_AT] + 8 * slot, at)
                    for lane in range(LANES):
                        x[LANES * block + lane] += gates[slot] * made[lane]
            t = finish(sync)
        begun += n_chunks
    while t < begun + 1:
        wait(sync, begun)
        out = floats(d[OUT], hidden)
        normalise(x, floats(d[FINAL_NORM], hidden), eps, out)
        if step[CAPTURE] == d[N_LAYERS]:
            floats(step[CAPTURED], hidden)[:] = out
        t = finish(sync)
    begun += 1
    return t, begun


@njit(nogil=True, cache=True)
def step_kernel(sync, decoder, step):
    """One position; arguments are the addresses of a decoder's and a step's numbers."""
    d = carray(pointer(decoder), (N_DECODER_FIELDS,), np.int64)
    _, begun = run_layers(sync, take(sync), 0, d, carray(pointer(step), (N_STEP_FIELDS,), np.int64))
    wait(sync, begun)
