"""Weight-only int4 and int8: storage, fitting, published formats, kernels and the memory plan."""
