"""Choosing a device, a number type and a way of decoding, and how much memory there is."""

from __future__ import annotations

from pathlib import Path

import torch

from model.errors import InputError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
GRAPH_MODES = ("off", "static", "cuda")
UNKNOWN_FREE_BYTES = 4 << 30  # assumed where the system does not say


def choose_device(device: str) -> torch.device:
    """ "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:N"; raises InputError for others or without a GPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda"):
        raise InputError(f"device is {device!r}, expected auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device is {device!r}, but torch finds no CUDA GPU; use auto or cpu, or install a CUDA build")
    return torch.device(device)


def choose_dtype(dtype: str, stored: str, device: torch.device) -> torch.dtype:
    """ "auto" is the stored type, but float32 on a CPU without bfloat16; raises InputError for unknown names."""
    if dtype != "auto":
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}, expected auto or one of {', '.join(DTYPES)}")
        return DTYPES[dtype]
    wanted = DTYPES.get(stored, torch.bfloat16)
    if device.type == "cpu" and wanted is not torch.float32 and not _cpu_has_bfloat16():
        return torch.float32  # without hardware support bf16 is slower than float32
    return torch.bfloat16 if wanted is torch.float16 else wanted


def choose_graphs(graphs: str, device: torch.device) -> str:
    """How to decode: "auto" is "cuda" on a GPU and "off" elsewhere; raises InputError for what there is not."""
    if graphs == "auto":
        return "cuda" if device.type == "cuda" else "off"
    if graphs not in GRAPH_MODES:
        raise InputError(f"graphs is {graphs!r}, expected auto or one of {', '.join(GRAPH_MODES)}")
    if graphs == "cuda" and device.type != "cuda":
        raise InputError(
            f"graphs is 'cuda', but the model is on {device}; use 'off', or 'static' to try the steps there"
        )
    return graphs


def _cpu_has_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def free_bytes(device: torch.device) -> int:
    """Memory of the device that is free now; a guess where the system does not say."""
    known = known_free_bytes(device)
    return UNKNOWN_FREE_BYTES if known is None else known


def known_free_bytes(device: torch.device) -> int | None:
    """Memory of the device that this process can still have, or None where the system does not say."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        cap = int(total * torch.cuda.get_per_process_memory_fraction(device))
        reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return min(free + reusable, cap - torch.cuda.memory_allocated(device))
    available = _available_bytes()
    group = _group_bytes()
    return min((n for n in (available, group) if n is not None), default=None)


def _available_bytes() -> int | None:
    memory = Path("/proc/meminfo")
    if memory.exists():
        for line in memory.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _group_bytes() -> int | None:
    """What a container's limit leaves (cgroup v2), counting file pages that can be given back as free."""
    group = Path("/sys/fs/cgroup")
    limit, used, details = group / "memory.max", group / "memory.current", group / "memory.stat"
    if not (limit.exists() and used.exists() and details.exists()):
        return None
    text = limit.read_text(encoding="ascii").strip()
    if not text.isdigit():  # "max": no limit
        return None
    pages = dict(line.split() for line in details.read_text(encoding="ascii").splitlines())
    return int(text) - int(used.read_text(encoding="ascii")) + int(pages.get("inactive_file", 0))
