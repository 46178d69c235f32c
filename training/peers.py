"""Several trainers of one stage on one machine, each with its own batches, that step as one."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.multiprocessing.spawn import spawn

Train = Callable[[argparse.Namespace, int], None]


def run(train: Train, options: argparse.Namespace, count: int) -> None:
    """Call `train(options, rank)` in `count` processes; in this one when there is one. `train` must be picklable.

    When one of them fails, the others are ended and the first error seen is raised.
    """
    if count == 1:
        train(options, 0)
        return
    with tempfile.TemporaryDirectory() as folder:
        spawn(_peer, (train, options, count, str(Path(folder) / "meeting")), nprocs=count)


def _peer(rank: int, train: Train, options: argparse.Namespace, count: int, meeting: str) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=count)
    try:
        train(options, rank)
    finally:
        distributed.destroy_process_group()


def mean(value: float) -> float:
    """The mean of every trainer's `value`: what all must agree on, such as the time."""
    if not distributed.is_initialized():
        return value
    shared = torch.tensor([value], dtype=torch.float64)
    distributed.all_reduce(shared)
    return float(shared) / distributed.get_world_size()


def share_gradients(parameters: Iterable[Any]) -> None:
    """Give every trainer the mean of all gradients. A parameter has one in all of them or in none."""
    if not distributed.is_initialized():
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, shared in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(shared.view_as(gradient))
