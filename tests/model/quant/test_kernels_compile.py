"""The kernels compile to machine code for the consumer and data-centre cards we name, without a card at hand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

COMPILE = """
import sys
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from model.graphs import attention_kernel
from model.quant import kernels

capability, symmetric, bits = int(sys.argv[1]), sys.argv[2] == "1", int(sys.argv[3])
storage = {"BITS": bits, "GROUP": 128, "SYMMETRIC": symmetric}
layout = storage | {"BLOCK_N": 4, "BLOCK_W": 64}
shape = {"GROUPS": 8, "DIM": 128, "DIM_PAD": 128, "ROWS": 128}
is_int8 = bits == 8
entries = (
    (kernels._matvec_kernel.fn, layout | {"HAS_BIAS": True}),
    (kernels._gate_up_kernel.fn, layout),
    (kernels._down_kernel.fn, layout),
    (kernels._rows_kernel, storage | {"BLOCK_W": 256}),
    (kernels._plain_rows_kernel, {"BLOCK": 256}),
    (attention_kernel._partial_kernel, shape | {"GROUPS_PAD": 16, "BLOCK": 32, "IS_INT8": is_int8}),
    (attention_kernel._join_kernel, shape | {"PIECES_PAD": 64}),
)
TYPES = {"words_ptr": "*i32", "zero_ptr": "*u8", "experts_ptr": "*i64", "ids_ptr": "*i64", "length_ptr": "*i64",
         "sums_ptr": "*fp32", "tops_ptr": "*fp32", "weights_ptr": "*fp32", "factor": "fp32",
         "key_scales_ptr": "*fp16", "value_scales_ptr": "*fp16"}
if is_int8:
    TYPES |= {"keys_ptr": "*i8", "values_ptr": "*i8"}
for kernel, constants in entries:
    signature = {}
    for name in kernel.arg_names:
        if name in constants:
            signature[name] = "constexpr"
        else:
            signature[name] = TYPES.get(name, "*bf16" if name.endswith("_ptr") else "i32")
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 2})
    print(kernel.__name__, len(binary.asm["cubin"]))
"""


@pytest.mark.parametrize(("capability", "symmetric", "bits"), [(86, False, 4), (89, True, 4), (90, False, 8)])
def test_kernels_compile(capability: int, symmetric: bool, bits: int) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, str(capability), str(int(symmetric)), str(bits)],
        env=environment | {"TRITON_DEFAULT_FP_FUSION": "1"}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.split()
    assert lines[0::2] == [
        "_matvec_kernel", "_gate_up_kernel", "_down_kernel", "_rows_kernel", "_plain_rows_kernel", "_partial_kernel",
        "_join_kernel",
    ]  # fmt: skip
    assert all(int(size) > 1000 for size in lines[1::2])
