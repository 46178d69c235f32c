"""Decoding without the host: steps of fixed shapes that a CUDA graph can hold, beside the plain path.

A step reads and writes tensors at fixed addresses, decides everything on the device and reads nothing back. The same
step runs as it is, or captured as a CUDA graph; which of them is chosen when the model is loaded.
"""
