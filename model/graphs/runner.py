"""How a step is run: as it is, or captured once as a CUDA graph and replayed. Chosen by configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

WARM_UP = 2  # runs before capturing: kernels are compiled and tuned, libraries take their working memory


class Step(Protocol):
    """Work of fixed shapes on tensors at fixed addresses. `run` depends on the host for nothing."""

    generators: tuple[torch.Generator, ...]

    def run(self) -> None:
        """Does the work once."""

    def state(self) -> list[Tensor]:
        """The tensors that a run changes and a later one reads, except rows of caches behind their length."""


class Runner(Protocol):
    """Makes a step callable."""

    def record(self, step: Step) -> Callable[[], None]:
        """The step as a call; recording leaves its state as it was."""


class PlainRunner:
    """Runs a step as it is."""

    def record(self, step: Step) -> Callable[[], None]:
        return step.run


class CudaRunner:
    """Captures each step as a CUDA graph; all graphs of a runner share one pool of memory, so they never overlap."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    @torch.inference_mode()
    def record(self, step: Step) -> Callable[[], None]:
        with unchanged(step):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    step.run()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            for generator in step.generators:
                graph.register_generator_state(generator)
            with torch.cuda.graph(graph, pool=self._pool):
                step.run()
        return graph.replay


class unchanged:  # noqa: N801 - used as a context, like contextlib's
    """Puts a step's tensors and sources of chance back at the end."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __enter__(self) -> None:
        self._tensors = [(tensor, tensor.clone()) for tensor in self._step.state()]
        self._chances = [(generator, generator.get_state()) for generator in self._step.generators]

    def __exit__(self, *_: object) -> None:
        for tensor, before in self._tensors:
            tensor.copy_(before)
        for generator, chance in self._chances:
            generator.set_state(chance)


def new_runner(mode: str) -> Runner:
    """The runner of a mode that is not "off"."""
    return CudaRunner() if mode == "cuda" else PlainRunner()
