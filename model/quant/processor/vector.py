"""Sixteen outputs at a time: the inner loops of packed products, written in LLVM's vectors and compiled by numba.

A packed weight times an activation is done in whole numbers. An activation becomes, group by group, a scale and
numbers q of 14 bits, |q| <= 8127, kept as two bytes: q = 128 * high + low with both in -64..64. A level (0..255) times
such a byte, two of them added, fits 16 bits, so that every way to add them gives the same whole number: `vpdpbusd`
(AVX-512 VNNI, AVX-VNNI), `vpmaddubsw` (AVX2), or plain multiplications (any processor). Only then it becomes float32.
14 bits of an activation are more than the 8 of bfloat16, so the products are nearer to float32 than torch's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from model.quant.processor.layout import LANES, STEP_BYTES

I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
BYTES, HALVES = ir.VectorType(I8, STEP_BYTES), ir.VectorType(I16, STEP_BYTES)
INTS, FLOATS = ir.VectorType(I32, LANES), ir.VectorType(F32, LANES)
KINDS = ("avx512vnni", "avxvnni", "avx2", "plain")


def processor_kind(features: dict[str, bool] | None = None) -> str:
    """The best of `KINDS` that this processor (or one with `features`) has."""
    has = llvm.get_host_cpu_features() if features is None else features
    if has.get("avx512vnni") and has.get("avx512bw"):
        return "avx512vnni"
    if has.get("avxvnni") and has.get("avx2"):
        return "avxvnni"
    return "avx2" if has.get("avx2") else "plain"


KIND = processor_kind()
# Activation rows that share one reading of the weights: as many as the registers hold.
TILE_ROWS = 4 if KIND == "avx512vnni" else 2


def _number(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def _constant(vector: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(vector, [value] * vector.count)


def _pick(b: ir.IRBuilder, vector: ir.Value, places: Sequence[int]) -> ir.Value:
    order = ir.Constant(ir.VectorType(I32, len(places)), list(places))
    return b.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order)


def _join(b: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
    n = 2 * first.type.count
    return b.shuffle_vector(first, second, ir.Constant(ir.VectorType(I32, n), list(range(n))))


def _splat(b: ir.IRBuilder, value: ir.Value, count: int) -> ir.Value:
    vector = ir.VectorType(value.type, count)
    one = b.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(I32, 0))
    return _pick(b, one, [0] * count)


def _call(b: ir.IRBuilder, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
    function = b.module.globals.get(name)
    if function is None:
        function = ir.Function(b.module, ir.FunctionType(result, [a.type for a in arguments]), name)
    return b.call(function, arguments)


def _dot(b: ir.IRBuilder, kind: str, total: ir.Value, levels: ir.Value, x: ir.Value) -> ir.Value:
    """total [16] + sums of four products: unsigned levels [64] times signed bytes x [64]."""
    if kind == "avx512vnni":
        return _call(b, "llvm.x86.avx512.vpdpbusd.512", INTS, total, levels, x)
    if kind == "plain":
        products = b.mul(b.zext(levels, HALVES), b.sext(x, HALVES))
        evens, odds = range(0, 64, 2), range(1, 64, 2)
        pairs = b.sext(b.add(_pick(b, products, evens), _pick(b, products, odds)), ir.VectorType(I32, 32))
        return b.add(total, b.add(_pick(b, pairs, evens[:16]), _pick(b, pairs, odds[:16])))
    halves = []
    for lanes, part in ((range(8), range(32)), (range(8, 16), range(32, 64))):
        t, w, v = _pick(b, total, lanes), _pick(b, levels, part), _pick(b, x, part)
        if kind == "avxvnni":
            halves.append(_call(b, "llvm.x86.avx512.vpdpbusd.256", t.type, t, w, v))
        else:
            pairs = _call(b, "llvm.x86.avx2.pmadd.ub.sw", ir.VectorType(I16, 16), w, v)
            ones = _constant(ir.VectorType(I16, 16), 1)
            halves.append(b.add(t, _call(b, "llvm.x86.avx2.pmadd.wd", t.type, pairs, ones)))
    return _join(b, *halves)


Carried = list[ir.Value]


def _loop(b: ir.IRBuilder, count: ir.Value, start: Carried, body: Callable[[ir.Value, Carried], Carried]) -> Carried:
    """`carried = body(i, carried)` for i below count (i64)."""
    before = b.block
    inside, after = b.function.append_basic_block("loop"), b.function.append_basic_block("after")
    b.cbranch(b.icmp_signed(">", count, ir.Constant(I64, 0)), inside, after)
    b.position_at_end(inside)
    i = b.phi(I64)
    i.add_incoming(ir.Constant(I64, 0), before)
    carried = []
    for value in start:
        carried.append(b.phi(value.type))
        carried[-1].add_incoming(value, before)
    new = body(i, list(carried))
    following = b.add(i, ir.Constant(I64, 1))
    end = b.block
    for phi, value in zip([i, *carried], [following, *new], strict=True):
        phi.add_incoming(value, end)
    b.cbranch(b.icmp_signed("<", following, count), inside, after)
    b.position_at_end(after)
    results = []
    for first, last in zip(start, new, strict=True):
        results.append(b.phi(first.type))
        results[-1].add_incoming(first, before)
        results[-1].add_incoming(last, end)
    return results


def _at(b: ir.IRBuilder, address: ir.Value, n_bytes: ir.Value | int, of: ir.Type) -> ir.Value:
    offset = ir.Constant(I64, n_bytes) if isinstance(n_bytes, int) else n_bytes
    return b.inttoptr(b.add(address, offset), of.as_pointer())


def _load(b: ir.IRBuilder, pointer: ir.Value, align: int) -> ir.Value:
    value = b.load(pointer)
    value.align = align
    return value


def make_tile(bits: int, n_rows: int, scale_bits: int, kind: str = KIND) -> Any:
    """The function `tile(words, scale, zero, n_groups, steps, last_steps, rows, padded, out, out_stride)`.

    It computes sixteen outputs for `n_rows` activation rows. All arguments are i64: addresses, counts and bytes.
    `words`, `scale`, `zero` are the weight's of these outputs (see `layout`), `steps` a group's, `last_steps` the last
    group's. `rows` is the address of `n_rows` addresses of activations (see `products.quantise`) of `padded` inputs.
    Row r is written as float32 [16] at `out` + r * `out_stride`.
    """
    planes = 8 // bits  # levels of an input in a byte
    n_apart = planes if n_rows == 1 else 1  # sums kept apart so that one need not wait for the other

    @intrinsic
    def tile(
        _context: Any, words: Any, scale: Any, zero: Any, n_groups: Any, steps: Any, last_steps: Any, rows: Any,
        padded: Any, out: Any, out_stride: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
            words, scale, zero, n_groups, steps, last_steps, rows, padded, out, out_stride = arguments
            row_at = [_load(b, _at(b, rows, 8 * row, I64), 8) for row in range(n_rows)]
            low_at = [b.add(at, padded) for at in row_at]
            scales_at = [b.add(at, padded) for at in low_at]

            def step(first: ir.Value, s: ir.Value, sums: Carried) -> Carried:
                at = b.add(first, s)
                packed = _load(b, _at(b, words, b.mul(at, _number(STEP_BYTES)), BYTES), STEP_BYTES)
                levels = [packed]
                if bits == 4:
                    levels = [b.and_(packed, _constant(BYTES, 15)), b.lshr(packed, _constant(BYTES, 4))]
                inputs = b.mul(at, _number(4 * planes))
                for row in range(n_rows):
                    for part, part_at in enumerate((row_at[row], low_at[row])):
                        for plane in range(planes):
                            four = _load(b, _at(b, part_at, b.add(inputs, _number(4 * plane)), I32), 4)
                            x = b.bitcast(_splat(b, four, LANES), BYTES)
                            place = (2 * row + part) * n_apart + plane % n_apart
                            sums[place] = _dot(b, kind, sums[place], levels[plane], x)
                return sums

            def group(g: ir.Value, totals: Carried) -> Carried:
                is_last = b.icmp_signed("==", g, b.sub(n_groups, _number(1)))
                first = b.mul(g, steps)
                zeros = [_constant(INTS, 0)] * (2 * n_rows * n_apart)
                sums = _loop(b, b.select(is_last, last_steps, steps), zeros, lambda s, sums: step(first, s, sums))
                if n_apart == 2:
                    sums = [b.add(sums[2 * i], sums[2 * i + 1]) for i in range(2 * n_rows)]
                if scale_bits == 16:
                    halves = _load(b, _at(b, scale, b.mul(g, _number(2 * LANES)), ir.VectorType(I16, LANES)), 2)
                    scales = b.bitcast(b.shl(b.zext(halves, INTS), _constant(INTS, 16)), FLOATS)
                else:
                    scales = _load(b, _at(b, scale, b.mul(g, _number(4 * LANES)), FLOATS), 4)
                zero_bytes = _load(b, _at(b, zero, b.mul(g, _number(LANES)), ir.VectorType(I8, LANES)), 1)
                zero_levels = b.uitofp(b.zext(zero_bytes, INTS), FLOATS)
                new = []
                for row in range(n_rows):
                    at = b.add(scales_at[row], b.mul(g, _number(8)))
                    x_scale = _splat(b, _load(b, _at(b, at, 0, F32), 4), LANES)
                    x_sum = _splat(b, _load(b, _at(b, at, 4, F32), 4), LANES)
                    high, low = (b.sitofp(sums[2 * row + part], FLOATS) for part in (0, 1))
                    value = b.fadd(b.fmul(high, _constant(FLOATS, 128.0)), low)
                    value = b.fsub(value, b.fmul(zero_levels, x_sum))
                    new.append(b.fadd(totals[row], b.fmul(value, b.fmul(scales, x_scale))))
                return new

            totals = _loop(b, n_groups, [_constant(FLOATS, 0.0)] * n_rows, group)
            for row, total in enumerate(totals):
                b.store(total, _at(b, out, b.mul(out_stride, _number(row)), FLOATS)).align = 4
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), generate

    return tile


@intrinsic
def atomic_add(_context: Any, address: Any, value: Any) -> Any:
    """Adds to the int64 at an address; returns what was there. Orders all memory of the threads that use it."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.atomic_rmw("add", _at(b, arguments[0], 0, I64), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@intrinsic
def atomic_read(_context: Any, address: Any) -> Any:
    """The int64 at an address, with all that was written before it."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.load_atomic(_at(b, arguments[0], 0, I64), "seq_cst", 8)

    return types.int64(types.int64), generate


@intrinsic
def pause(_context: Any) -> Any:
    """Tells the processor that this thread waits."""

    def generate(context: Any, b: ir.IRBuilder, _signature: Any, _arguments: Any) -> Any:
        if KIND != "plain":
            _call(b, "llvm.x86.sse2.pause", ir.VoidType())
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def give_way(_context: Any) -> Any:
    """Lets another thread have this processor."""

    def generate(context: Any, b: ir.IRBuilder, _signature: Any, _arguments: Any) -> Any:
        _call(b, "SwitchToThread" if sys.platform == "win32" else "sched_yield", I32)
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def pointer(_context: Any, address: Any) -> Any:
    """An address as what `numba.carray` takes."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


@intrinsic
def float_of_bits(_context: Any, bits: Any) -> Any:
    """The float32 that an int32's bits are."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], F32)

    return types.float32(types.int32), generate


@intrinsic
def bits_of_float(_context: Any, value: Any) -> Any:
    """The int32 whose bits are a float32."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], I32)

    return types.int32(types.float32), generate


@intrinsic
def float_of_half(_context: Any, bits: Any) -> Any:
    """The float32 of a float16's bits."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.fpext(b.bitcast(arguments[0], ir.HalfType()), F32)

    return types.float32(types.uint16), generate


@intrinsic
def half_of_float(_context: Any, value: Any) -> Any:
    """The bits of the float16 nearest to a float32."""

    def generate(_context: Any, b: ir.IRBuilder, _signature: Any, arguments: Any) -> Any:
        return b.bitcast(b.fptrunc(arguments[0], ir.HalfType()), I16)

    return types.uint16(types.float32), generate
