"""What the stages of the voice share: options, learning rate, checkpoints that survive a kill, a log."""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import config

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # of glibc's malloc.h


def options(description: str, *, steps: int, **defaults: Any) -> argparse.Namespace:
    """The options every stage has, and `defaults` as further ones (`batch=8` gives --batch)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS, help="where data and checkpoints lie")
    parser.add_argument("--steps", type=int, default=steps, help="train up to this step; more than before resumes")
    parser.add_argument("--seed", type=int, default=config.SEED)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    keep_memory()
    return chosen


def keep_memory() -> None:
    """Let the C library keep freed memory instead of giving it back to the system after each tensor.

    The pages would be zeroed anew thousands of times a step, a fifth of the time. Does nothing without glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    for parameter, value in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20)):
        mallopt(parameter, value)


def give_back_memory() -> None:
    """Give back what `keep_memory` has kept and sizes that never come again have torn to pieces."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def seed_all(seed: int) -> None:
    """Seed torch, numpy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def learning_rate(step: int, done: float, peak: float, *, warmup: int = 100, decay: float = 0.4) -> float:
    """Linear warm-up over `warmup` steps, then `peak`; over the last `decay` of the way, if any, a fall to 2 %."""
    return peak * min(1.0, (step + 1) / warmup) * min(1.0, max(0.02, (1 - done) / max(decay, 1e-6)))


class Progress:
    """How far a stage is, 0..1: by steps, or by the clock when minutes are given (whichever is further)."""

    def __init__(self, step: int, steps: int, minutes: float) -> None:
        self._first, self._steps, self._minutes = step, steps, minutes
        self._started = time.monotonic()

    def at(self, step: int) -> float:
        """The share done after `step` steps; 1 or more means stop."""
        by_steps = step / self._steps
        if not self._minutes:
            return by_steps
        before = self._first / self._steps
        spent = (time.monotonic() - self._started) / 60 / self._minutes
        return max(by_steps, before + (1 - before) * spent)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Store:
    """One stage's checkpoint file (`state.pt`, replaced whole) and log (`log.jsonl`) in its run folder."""

    def __init__(self, runs: Path, stage: str) -> None:
        self.folder = runs / stage
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "state.pt"
        self._saved_at = time.monotonic()
        self._started = time.monotonic()

    def load(self, device: str = "cpu") -> dict[str, Any] | None:
        """The last checkpoint, or None."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
        return state

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        new = self.path.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.path)
        self._saved_at = time.monotonic()

    def due(self, every_s: float = 150.0) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved_at > every_s

    def log(self, step: int, **values: float) -> None:
        """Print a line and append it to the log."""
        row = {
            "step": step,
            "s": round(time.monotonic() - self._started),
            **{k: round(v, 4) for k, v in values.items()},
        }
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        with (self.folder / "log.jsonl").open("a") as out:
            out.write(json.dumps(row) + "\n")


def require(path: Path, command: str) -> Path:
    """`path` if it exists; otherwise FileNotFoundError that names the stage to run first."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run first: {command}")
    return path
