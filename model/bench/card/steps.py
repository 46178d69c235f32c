"""How long a step takes beside how long reading its weights takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn

from model.conversation.session import Session
from model.errors import InputError
from model.flash import Flash
from model.network.moe import SparseMLP
from model.quant.packing import PackedWeight
from model.quant.plan import cache_bytes
from model.quant.processor.layout import Interleaved

COPY_BYTES = {"cuda": 1 << 30, "cpu": 1 << 26}
COPY_RUNS = 10
WARM_UP = 2


@dataclass(frozen=True)
class StepTime:
    """One kind of step: measured, and the least that reading its bytes takes."""

    step: str
    ms: float
    bytes_read: int
    limit_ms: float

    @property
    def share(self) -> float:
        """Of the limit that is reached: 1 is as fast as the memory."""
        return self.limit_ms / self.ms


def synchronize(device: torch.device) -> None:
    """Waits for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second that a large copy moves, read and written."""
    size = COPY_BYTES[device.type]
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    synchronize(device)
    clock = perf_counter()
    for _ in range(COPY_RUNS):
        target.copy_(source)
    synchronize(device)
    return 2 * size * COPY_RUNS / (perf_counter() - clock)


def _own_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Weights that a module holds itself, packed ones included."""
    yield from module.parameters(recurse=False)
    for value in vars(module).values():
        if isinstance(value, PackedWeight | Interleaved):
            yield from (value.words, value.scale)
            if value.zero is not None:
                yield value.zero


def weight_bytes(module: nn.Module) -> int:
    """Bytes that one position reads of a module's weights: of experts, the chosen ones."""
    total = 0
    for child in module.modules():
        total += sum(tensor.nbytes for tensor in _own_tensors(child))
        if isinstance(child, SparseMLP):
            held = list(_own_tensors(child.experts))
            n_experts = held[0].shape[0]
            total -= sum(tensor.nbytes for tensor in held) * (n_experts - child.top_k) // n_experts
    return total


def step_bytes(flash: Flash, n_rows: int) -> dict[str, int]:
    """What a token, a codec frame and a frame's sound must read, with `n_rows` positions in the caches."""
    thinker, bits, width = flash.thinker, flash.memory.cache_bits, flash.dtype.itemsize
    layers = weight_bytes(thinker.model.layers) + weight_bytes(thinker.model.norm)
    reads = {"Thinker token": layers + weight_bytes(thinker.lm_head)}
    reads["Thinker token"] += cache_bytes(flash.config.thinker.text, n_rows, bits, width)
    if flash.talker is not None and flash.code_predictor is not None and flash.config.talker is not None:
        talker, predictor = flash.talker, flash.code_predictor
        frame = weight_bytes(talker.model.layers) + weight_bytes(talker.codec_head)
        frame += weight_bytes(talker.text_projection) + weight_bytes(predictor.lm_head)
        frame += weight_bytes(predictor.model.layers) * (predictor.n_groups - 1)
        reads["codec frame"] = frame + cache_bytes(flash.config.talker.text, n_rows, bits, width)
    if flash.code2wav is not None:
        packed = [tensor for module in flash.code2wav.modules() for tensor in vars(module).values()]
        extra = sum(tensor.nbytes for tensor in packed if isinstance(tensor, Tensor))
        reads["sound of a frame"] = weight_bytes(flash.code2wav) + extra
        reads["sound of a frame"] -= weight_bytes(flash.code2wav.code_embedding)
    return reads


def time_steps(flash: Flash, session: Session, n_steps: int) -> list[StepTime]:
    """Steps in the middle of a reply of `session`, whose turn must have something to answer."""
    bandwidth = copy_bandwidth(flash.device)
    reads = step_bytes(flash, session.n_positions)
    stream = session.reply(max_tokens=4 * n_steps + 64, max_frames=4 * n_steps + 64)
    makers = stream.makers
    found = {}

    def measure(call: Callable[[], object]) -> float:
        for _ in range(WARM_UP):
            call()
        synchronize(flash.device)
        clock = perf_counter()
        for _ in range(n_steps):
            call()
        synchronize(flash.device)
        return (perf_counter() - clock) * 1000 / n_steps

    try:
        with torch.inference_mode():
            makers.writer.write(WARM_UP).get()
            synchronize(flash.device)
            clock = perf_counter()
            n_written = len(makers.writer.write(n_steps).get().tokens)
            if n_written < n_steps:  # the text has ended: an average over steps that did nothing would be too good
                raise InputError(f"the text ended after {n_written} of {n_steps} tokens to time; give fewer --steps")
            found["Thinker token"] = (perf_counter() - clock) * 1000 / n_steps
            if makers.speaker is not None:
                makers.speaker.speak(WARM_UP).get()
                frame, sound = makers.speaker.calls()
                found["codec frame"] = measure(frame)
                found["sound of a frame"] = measure(sound)
    finally:
        stream.close()
    return [StepTime(name, ms, reads[name], reads[name] / bandwidth * 1000) for name, ms in found.items()]
