"""Packed weights on a processor: where int4 and int8 are multiplied without being unpacked into memory.

`layout` says how a weight lies in memory, `vector` multiplies sixteen outputs at once with what the processor has,
`team` runs a kernel on several threads, `products` are the kernels for linear layers and mixtures of experts,
`storage` the modules that use them, `step` a whole decoder for one position in one call. Compiled by numba when first
used; without numba the plain twins in `model.quant.packing` do the work.
"""
