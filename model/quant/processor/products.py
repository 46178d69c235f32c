"""Kernels for packed products of any number of rows: a linear layer, and a mixture of experts.

Activations are turned into whole numbers once (`quantise`) and every block of sixteen outputs is then made by whoever
is free. A matrix is described to a kernel by int64 numbers (`describe`), an activation row is
[high bytes][low bytes][scale, sum of each group]: see `vector`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import carray, njit

from model.quant.processor.layout import LANES, STEP_BYTES, Interleaved
from model.quant.processor.team import finish, take, wait
from model.quant.processor.vector import TILE_ROWS, float_of_bits, make_tile, pointer

# A description of a matrix: what lies where in it. EXPERT fields are bytes from one expert to the next.
WORDS, SCALE, ZERO, BITS, SCALE_BYTES, BLOCKS, GROUPS, STEPS, LAST, PADDED, INPUTS, BIAS = range(12)
N_FIELDS = 12

QUANTITY_LIMIT = 8127.0  # 14 bits, so that high and low bytes stay within -64..64
CHUNKS_PER_THREAD = 4  # enough to even out threads that are taken away, few enough to cost nothing

_one_4_16, _one_4_32 = make_tile(4, 1, 16), make_tile(4, 1, 32)
_one_8_16, _one_8_32 = make_tile(8, 1, 16), make_tile(8, 1, 32)
_few_4_16, _few_4_32 = make_tile(4, TILE_ROWS, 16), make_tile(4, TILE_ROWS, 32)
_few_8_16, _few_8_32 = make_tile(8, TILE_ROWS, 16), make_tile(8, TILE_ROWS, 32)


def describe(weight: Interleaved, bias: np.ndarray | None = None) -> list[int]:
    """The numbers that kernels know a matrix by (of a stack: its first matrix); `bias` float32, padded."""
    return [
        weight.words.data_ptr(),
        weight.scale.data_ptr(),
        weight.zero.data_ptr(),
        weight.spec.bits,
        weight.scale.element_size(),
        weight.n_blocks,
        weight.n_groups,
        weight.steps_per_group,
        weight.last_steps,
        weight.padded_inputs,
        weight.n_inputs,
        0 if bias is None else int(bias.ctypes.data),
    ]


def row_bytes(weight: Interleaved) -> int:
    """Bytes of an activation row for this matrix, rounded up to a cache line."""
    return -(-(2 * weight.padded_inputs + 8 * weight.n_groups) // 64) * 64


@njit(nogil=True, cache=True)
def floats(address, count):
    """float32 [count] at an address."""
    return carray(pointer(address), (count,), np.float32)


@njit(nogil=True, cache=True, fastmath=True)
def quantise(x, to, matrix):
    """float32 x [inputs] -> an activation row at `to` for a matrix: every group of inputs with a scale of its own."""
    padded, n_groups, n_inputs = matrix[PADDED], matrix[GROUPS], matrix[INPUTS]
    high = carray(pointer(to), (padded,), np.int8)
    low = carray(pointer(to + padded), (padded,), np.int8)
    scales = floats(to + 2 * padded, 2 * n_groups)
    group = matrix[STEPS] * (padded // ((n_groups - 1) * matrix[STEPS] + matrix[LAST]))
    for g in range(n_groups):
        start = g * group
        end = min(start + group, n_inputs)
        largest = np.float32(0.0)
        for i in range(start, end):
            largest = max(largest, abs(x[i]))
        inverse = np.float32(0.0)
        if largest > np.float32(1e-30):
            inverse = np.float32(QUANTITY_LIMIT) / largest
        total = np.int32(0)
        for i in range(start, end):
            q = np.int32(math.floor(x[i] * inverse + np.float32(0.5)))
            upper = (q + np.int32(64)) >> np.int32(7)
            high[i] = np.int8(upper)
            low[i] = np.int8(q - (upper << np.int32(7)))
            total += q
        scales[2 * g] = largest / np.float32(QUANTITY_LIMIT)
        scales[2 * g + 1] = np.float32(total)
    for i in range(n_inputs, padded):
        high[i] = 0
        low[i] = 0


@njit(nogil=True, cache=True)
def tile_one(m, words, scale, zero, rows, out):
    """Sixteen outputs of one row; see `vector.make_tile`."""
    if m[BITS] == 4:
        if m[SCALE_BYTES] == 2:
            _one_4_16(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, 0)
        else:
            _one_4_32(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, 0)
    elif m[SCALE_BYTES] == 2:
        _one_8_16(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, 0)
    else:
        _one_8_32(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, 0)


@njit(nogil=True, cache=True)
def tile_few(m, words, scale, zero, rows, out, stride):
    """Sixteen outputs of TILE_ROWS rows."""
    if m[BITS] == 4:
        if m[SCALE_BYTES] == 2:
            _few_4_16(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, stride)
        else:
            _few_4_32(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, stride)
    elif m[SCALE_BYTES] == 2:
        _few_8_16(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, stride)
    else:
        _few_8_32(words, scale, zero, m[GROUPS], m[STEPS], m[LAST], rows, m[PADDED], out, stride)


@njit(nogil=True, cache=True)
def block_of(m, index):
    """Addresses of words, scales and zero points of a block; the blocks of a stack's experts are counted on."""
    n_steps = (m[GROUPS] - 1) * m[STEPS] + m[LAST]
    return (
        m[WORDS] + index * n_steps * STEP_BYTES,
        m[SCALE] + index * m[GROUPS] * LANES * m[SCALE_BYTES],
        m[ZERO] + index * m[GROUPS] * LANES,
    )


@njit(nogil=True, cache=True)
def block_product(m, index, rows, n_rows, out, stride):
    """Sixteen outputs of `n_rows` rows, whose addresses are at `rows`; row r goes to `out` + r * `stride`.

    Where n_rows is no multiple of TILE_ROWS, but more than one row is left, rows up to the multiple are made too.
    """
    words, scale, zero = block_of(m, index)
    done = 0
    while done < n_rows:
        if n_rows - done == 1:
            tile_one(m, words, scale, zero, rows + 8 * done, out + done * stride)
            done += 1
        else:
            tile_few(m, words, scale, zero, rows + 8 * done, out + done * stride, stride)
            done += TILE_ROWS


@njit(nogil=True, cache=True)
def add_bias(m, block, out, stride, n_rows):
    if m[BIAS]:
        bias = floats(m[BIAS] + 4 * LANES * block, LANES)
        for row in range(n_rows):
            at = floats(out + row * stride, LANES)
            for lane in range(LANES):
                at[lane] += bias[lane]


@njit(nogil=True, cache=True)
def linear_kernel(sync, job_address):
    """Rows times a matrix. The job: matrix, then x, n_rows, activations, row bytes, row addresses, out, chunks."""
    job = carray(pointer(job_address), (N_FIELDS + 7,), np.int64)
    m = job[:N_FIELDS]
    x, n_rows, activations, n_bytes, rows, out, n_chunks = job[N_FIELDS:]
    t = take(sync)
    n_first = (n_rows + 7) // 8
    while t < n_first:
        for row in range(8 * t, min(8 * t + 8, n_rows)):
            quantise(floats(x + 4 * row * m[INPUTS], m[INPUTS]), activations + row * n_bytes, m)
        t = finish(sync)
    stride = 4 * LANES * m[BLOCKS]
    while t < n_first + n_chunks:
        wait(sync, n_first)
        chunk = t - n_first
        for block in range(chunk * m[BLOCKS] // n_chunks, (chunk + 1) * m[BLOCKS] // n_chunks):
            at = out + 4 * LANES * block
            block_product(m, block, rows, n_rows, at, stride)
            add_bias(m, block, at, stride, n_rows)
        t = finish(sync)
    wait(sync, n_first + n_chunks)


# The job of a mixture: gate and up, down, then these.
(X, N_ROWS, N_SLOTS, N_ACTIVE, PARTS, TOP_K, IN_ROWS, IN_BYTES, HIDDEN_ROWS, HIDDEN_BYTES, ROWS, HIDDEN_AT, STARTS,
 EXPERTS, GATE_UP, DONE_ROWS, SLOT_OF, GATES, OUT) = range(2 * N_FIELDS, 2 * N_FIELDS + 19)  # fmt: skip
N_MIXTURE = OUT + 1


@njit(nogil=True, cache=True)
def exponential(x):
    """e to the power of a float32, to one part in 10^7; in a loop it becomes vectors, which `math.exp` does not."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = math.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)  # ln 2 in two parts
    p = np.float32(1.9875691e-4)
    for c in (1.3981999e-3, 8.3334519e-3, 4.1665795e-2, 1.6666665e-1, 0.5):
        p = p * r + np.float32(c)
    return (p * r * r + r + np.float32(1.0)) * float_of_bits((np.int32(n) + np.int32(127)) << np.int32(23))


@njit(nogil=True, cache=True, fastmath=True)
def gate(both, n_inner, to):
    """silu(first half) * second half of float32 [2 * n_inner], into `to` [n_inner]."""
    for i in range(n_inner):
        to[i] = both[i] / (np.float32(1.0) + exponential(-both[i])) * both[n_inner + i]


@njit(nogil=True, cache=True, fastmath=True)
def add_scaled(to, x, factor):
    for i in range(to.shape[0]):
        to[i] += factor * x[i]


@njit(nogil=True, cache=True)
def mixture_kernel(sync, job_address):
    """Rows through their experts, each expert's weights read once. Slots are (row, expert) pairs, sorted by expert."""
    job = carray(pointer(job_address), (N_MIXTURE,), np.int64)
    gate_up, down = job[:N_FIELDS], job[N_FIELDS : 2 * N_FIELDS]
    n_rows, n_slots, n_active, parts, top_k = job[N_ROWS], job[N_SLOTS], job[N_ACTIVE], job[PARTS], job[TOP_K]
    n_inputs, n_inner, width = gate_up[INPUTS], down[INPUTS], LANES * gate_up[BLOCKS]
    starts = carray(pointer(job[STARTS]), (n_active + 1,), np.int64)
    experts = carray(pointer(job[EXPERTS]), (n_active,), np.int64)
    t, begun = take(sync), 0
    n_chunks = (n_rows + 7) // 8
    while t < begun + n_chunks:
        for row in range(8 * t, min(8 * t + 8, n_rows)):
            quantise(floats(job[X] + 4 * row * n_inputs, n_inputs), job[IN_ROWS] + row * job[IN_BYTES], gate_up)
        t = finish(sync)
    begun += n_chunks
    n_chunks = n_active * parts
    while t < begun + n_chunks:
        wait(sync, begun)
        place, part = (t - begun) // parts, (t - begun) % parts
        first, count = starts[place], starts[place + 1] - starts[place]
        for block in range(part * gate_up[BLOCKS] // parts, (part + 1) * gate_up[BLOCKS] // parts):
            index = experts[place] * gate_up[BLOCKS] + block
            at = job[GATE_UP] + 4 * (first * width + LANES * block)
            block_product(gate_up, index, job[ROWS] + 8 * first, count, at, 4 * width)
        t = finish(sync)
    begun += n_chunks
    n_chunks = (n_slots + 3) // 4
    while t < begun + n_chunks:
        wait(sync, begun)
        chunk = t - begun
        for slot in range(4 * chunk, min(4 * chunk + 4, n_slots)):
            both = floats(job[GATE_UP] + 4 * slot * width, 2 * n_inner)
            gate(both, n_inner, both[:n_inner])
            quantise(both[:n_inner], job[HIDDEN_ROWS] + slot * job[HIDDEN_BYTES], down)
        t = finish(sync)
    begun += n_chunks
    n_chunks = n_active * parts
    out_width = LANES * down[BLOCKS]
    while t < begun + n_chunks:
        wait(sync, begun)
        place, part = (t - begun) // parts, (t - begun) % parts
        first, count = starts[place], starts[place + 1] - starts[place]
        for block in range(part * down[BLOCKS] // parts, (part + 1) * down[BLOCKS] // parts):
            index = experts[place] * down[BLOCKS] + block
            at = job[DONE_ROWS] + 4 * (first * out_width + LANES * block)
            block_product(down, index, job[HIDDEN_AT] + 8 * first, count, at, 4 * out_width)
        t = finish(sync)
    begun += n_chunks
    n_chunks = (n_rows + 7) // 8
    gates = floats(job[GATES], n_rows * top_k)
    slot_of = carray(pointer(job[SLOT_OF]), (n_rows * top_k,), np.int64)
    while t < begun + n_chunks:
        wait(sync, begun)
        chunk = t - begun
        for row in range(8 * chunk, min(8 * chunk + 8, n_rows)):
            out = floats(job[OUT] + 4 * row * out_width, out_width)
            out[:] = np.float32(0.0)
            for choice in range(row * top_k, (row + 1) * top_k):
                done = floats(job[DONE_ROWS] + 4 * slot_of[choice] * out_width, out_width)
                add_scaled(out, done, gates[choice])
        t = finish(sync)
    wait(sync, begun + n_chunks)
