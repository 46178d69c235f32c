"""The check before loading: does what was asked for fit what the device has now?"""

from __future__ import annotations

from dataclasses import replace

import torch

from model.checkpoint.config import ModelConfig
from model.device import known_free_bytes
from model.errors import OutOfMemoryError
from model.memory import Memory
from model.quant.advice import CARD, Device, fit_plan, refusal
from model.quant.load import BITS_OF, GROUP
from model.quant.plan import CPU_RESERVE_BYTES, GB, Plan, Settings, SpecOf, make_plan

HOST = Device(has_host=False, reserve_bytes=CPU_RESERVE_BYTES)


def check_memory(
    config: ModelConfig,
    memory: Memory,
    *,
    device: torch.device,
    dtype: torch.dtype,
    quantize: str | None,
    least_positions: int,
    spec_of: SpecOf | None = None,
) -> Plan | None:
    """The plan of what will be loaded, or None where the system does not say how much memory is free.

    ``spec_of`` is given for checkpoints that are packed already. Raises OutOfMemoryError, which names the settings that
    would fit, when the device, or the host for what stays there, has less.
    """
    free = known_free_bytes(device)
    if memory.limit_bytes is not None:
        free = memory.limit_bytes if free is None else min(free, memory.limit_bytes)
    if free is None:
        return None
    bits = 16 if quantize is None else BITS_OF[quantize]
    settings = Settings(
        context=least_positions if memory.positions is None else memory.positions,
        bits=bits,
        group=GROUP,
        encoder_bits=16 if quantize is None else 8,
        cache_bits=memory.cache_bits,
        embedding_on_host=memory.embedding_on_host,
        host_expert_layers=memory.host_expert_layers,
        float_bytes=dtype.itemsize,
    )
    where = HOST if device.type == "cpu" else CARD
    if device.type == "cpu":  # one memory: what is "on the host" counts as well
        settings = replace(settings, embedding_on_host=False, host_expert_layers=0)
    plan = make_plan(config, settings, free, spec_of=spec_of, reserve_bytes=where.reserve_bytes)
    if not plan.fits:
        raise refusal(plan, fit_plan(config, settings, free, device=where, spec_of=spec_of))
    host = known_free_bytes(torch.device("cpu"))
    if device.type != "cpu" and host is not None and plan.host_bytes > host:
        raise OutOfMemoryError(
            f"{plan.host_bytes / GB:.2f} GB of the model are to stay in host memory, which has {host / GB:.2f} GB "
            "free; keep the experts of fewer layers there, or close other programs"
        )
    return plan
