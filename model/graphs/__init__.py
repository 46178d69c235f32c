"""Decoding without the host: steps of fixed shapes that a CUDA graph can hold, beside the plain path.

A step reads and writes tensors at fixed addresses, decides everything on the device and reads nothing back. The same
step runs as it is, or captured as a CUDA graph; which of them is chosen when the model is loaded.

`conversation/reply.py` asks `schedule.py` what is next and a `Writer` (text) or a `Speaker` (frames) for it; both give
tickets. `plain_decoding.py` does the work at once. Here are three steps: a Thinker token (`writing`), a codec frame
(`speaking`: Talker, drawing, code predictor, sum) and the sound of 1, 2, 4 or 8 frames (`waves`). They keep lengths,
positions, drawn tokens, chance and the tests for the end on the device, and share weights and caches with the plain
path. Up to two tickets are open, so the device works on one while the host looks at the other. Prefill, forks and
evictions stay plain; the host tells the steps where the caches end when a reply begins.
"""
