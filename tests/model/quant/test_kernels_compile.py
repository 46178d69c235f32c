"""The kernels compile to machine code for the consumer and data-centre cards we name, without a card at hand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPILE = """
import sys
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
import triton
from model.quant import kernels

capability, symmetric, bits = int(sys.argv[1]), sys.argv[2] == "1", int(sys.argv[3])
layout = {"BITS": bits, "GROUP": 128, "SYMMETRIC": symmetric, "BLOCK_N": 4, "BLOCK_W": 64}
entries = ((kernels._matvec_kernel, {"HAS_BIAS": True}), (kernels._gate_up_kernel, {}), (kernels._down_kernel, {}))
for kernel, extra in entries:
    constants = layout | extra
    signature = {}
    for name in kernel.fn.arg_names:
        if name in constants:
            signature[name] = "constexpr"
        elif not name.endswith("_ptr"):
            signature[name] = "i32"
        else:
            signature[name] = {"words_ptr": "*i32", "zero_ptr": "*u8", "experts_ptr": "*i64"}.get(name, "*bf16")
    source = ASTSource(fn=kernel.fn, signature=signature, constexprs=constants)
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 2})
    print(kernel.fn.__name__, len(binary.asm["cubin"]))
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
    assert lines[0::2] == ["_matvec_kernel", "_gate_up_kernel", "_down_kernel"]
    assert all(int(size) > 1000 for size in lines[1::2])
