"""A CUDA graph's contract, kept on a CPU: records every operation of a step once and replays just those.

What a replay does is what a CUDA graph would do: the same operations with the same numbers on the same memory. So a
step that reads anything back, grows a tensor, keeps state in Python or takes a number from the host that changes later
gives wrong results here, as it would on a card, or is refused while recording.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model.graphs.runner import Step, unchanged

aten = torch.ops.aten
# They read numbers of the device, or make shapes that depend on them.
FORBIDDEN = {
    aten._local_scalar_dense,
    aten.item,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
    aten.unique_dim,
    aten.bincount,
    aten.multinomial,
    aten.is_nonzero,
    aten.equal,
}


class HostNeededError(AssertionError):
    """A step did what a graph cannot hold."""


@dataclass
class Recorded:
    """One operation: its arguments as they were, and what it returned."""

    call: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Tensor]
    is_view: bool


@dataclass
class Recorder(TorchDispatchMode):
    """Runs operations and notes them."""

    operations: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._patches = pytest.MonkeyPatch()
        self._depth = 0

    def __enter__(self) -> Recorder:
        if not self._depth:  # it is entered again for what operations are made of
            for name in ("tolist", "numpy"):  # on a CPU these read memory without any operation
                self._patches.setattr(Tensor, name, _refuse(name))
        self._depth += 1
        super().__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        super().__exit__(*details)
        self._depth -= 1
        if not self._depth:
            self._patches.undo()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        with self:  # what is made of other operations is looked into
            inner = func.decompose(*args, **kwargs)
        if inner is not NotImplemented:
            return inner
        if func.overloadpacket in FORBIDDEN or func is aten.repeat_interleave.Tensor:
            raise HostNeededError(f"{func} reads the device or makes shapes from its numbers")
        for index in _boolean_indices(func, args):
            raise HostNeededError(f"{func} with a mask {tuple(index.shape)} makes a shape from its numbers")
        out = func(*args, **kwargs)
        results = [part for part in (out if isinstance(out, tuple | list) else [out]) if isinstance(part, Tensor)]
        given = {part.untyped_storage().data_ptr() for part in _tensors((args, kwargs))}
        is_view = bool(results) and all(part.untyped_storage().data_ptr() in given for part in results)
        is_view = is_view and not func._schema.is_mutable
        self.operations.append(Recorded(func, args, kwargs, results, is_view))
        return out

    def signature(self) -> list[tuple[str, str]]:
        """Operations with their shapes, numbers and the memory of what was there before."""
        made: set[int] = set()
        lines = []
        for operation in self.operations:
            described = _describe((operation.args, operation.kwargs), made)
            lines.append((str(operation.call), described))
            if not operation.is_view and not operation.call._schema.is_mutable:
                made |= {part.untyped_storage().data_ptr() for part in operation.results}
        return lines


def _refuse(name: str) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise HostNeededError(f"Tensor.{name}() takes numbers to the host")

    return refuse


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [part for item in value.values() for part in _tensors(item)]
    if isinstance(value, tuple | list):
        return [part for item in value for part in _tensors(item)]
    return []


def _boolean_indices(func: Any, args: tuple[Any, ...]) -> list[Tensor]:
    if func.overloadpacket not in (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_):
        return []
    return [part for part in args[1] if part is not None and part.dtype is torch.bool]


def _describe(value: Any, made: set[int]) -> str:
    if isinstance(value, Tensor):
        address = value.untyped_storage().data_ptr()
        where = "made" if address in made else hex(address)
        return f"{value.dtype}{tuple(value.shape)}{tuple(value.stride())}@{where}+{value.storage_offset()}"
    if isinstance(value, torch.Generator):
        return f"chance {value.initial_seed()}"
    if isinstance(value, dict):
        return ",".join(f"{name}={_describe(item, made)}" for name, item in value.items())
    if isinstance(value, tuple | list):
        return "(" + ",".join(_describe(item, made) for item in value) + ")"
    return repr(value)


class ReplayRunner:
    """A runner that records at first use and then only replays, as a CUDA graph does."""

    def __init__(self) -> None:
        self.n_replays = 0

    @torch.inference_mode()
    def record(self, step: Step) -> Callable[[], None]:
        recorder = Recorder()
        with unchanged(step), recorder:
            step.run()
        return lambda: self._replay(recorder.operations)

    @torch.inference_mode()
    def _replay(self, operations: list[Recorded]) -> None:
        self.n_replays += 1
        for operation in operations:
            if operation.is_view:
                continue
            out = operation.call(*operation.args, **operation.kwargs)
            if operation.call._schema.is_mutable:
                continue
            results = [part for part in (out if isinstance(out, tuple | list) else [out]) if isinstance(part, Tensor)]
            for kept, new in zip(operation.results, results, strict=True):
                kept.copy_(new)


@torch.inference_mode()
def recorded(step: Step) -> Recorder:
    """One run of a step, noted; it counts."""
    recorder = Recorder()
    with recorder:
        step.run()
    return recorder
