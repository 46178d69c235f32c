"""Batches made by other processes while the trainer computes.

With no workers the trainer makes them itself, which is right where there are no spare cores; beside a GPU the batches
take longer to make than to learn from, and every core should make them.
"""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LOOK_EVERY_S = 2.0  # whether the workers are alive
_BATCHES_AHEAD = 4  # a worker


def _work(start: Callable[[int], Callable[[], Any]], seed: int, out: Any) -> None:
    import torch

    torch.set_num_threads(1)
    torch.multiprocessing.set_sharing_strategy("file_system")
    make = start(seed)
    while True:
        out.put(make())


@contextmanager
def batches(start: Callable[[int], Callable[[], Any]], seed: int, n_workers: int) -> Iterator[Callable[[], Any]]:
    """A function that gives the next batch. `start(seed)` makes a maker of batches; it must be picklable.

    The workers are gone when the context is left. Raises RuntimeError when one of them has died.
    """
    if n_workers == 0:
        yield start(seed)
        return
    context = multiprocessing.get_context("spawn")
    waiting: Any = context.Queue(_BATCHES_AHEAD * n_workers)
    workers = [
        context.Process(target=_work, args=(start, seed + 1_000_003 * (number + 1), waiting), daemon=True)
        for number in range(n_workers)
    ]
    for worker in workers:
        worker.start()

    def take() -> Any:
        while True:
            try:
                return waiting.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                dead = [worker.exitcode for worker in workers if not worker.is_alive()]
                if dead:
                    message = f"a process that makes batches ended with code {dead[0]}; see its error above"
                    raise RuntimeError(message) from None

    try:
        yield take
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join()
        waiting.cancel_join_thread()
