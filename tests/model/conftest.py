"""Tiny checkpoints, loaded once for all tests of the model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from model.flash import Flash, load


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Directory of the random checkpoint of a variant of `oracle.VARIANTS`; "hold" has time-aligned text."""
    from tests.model.oracle import make_checkpoint

    @cache
    def make(variant: str) -> Path:
        directory = tmp_path_factory.mktemp(variant)
        return make_checkpoint(directory, "plain" if variant == "hold" else variant, hold=variant == "hold")

    return make


@pytest.fixture(scope="session")
def flash_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], Flash]:
    """The loaded checkpoint of a variant."""

    @cache
    def load_variant(variant: str) -> Flash:
        return load(checkpoint_of(variant), device="cpu", dtype="float32")

    return load_variant


@pytest.fixture(scope="session")
def flash(flash_of: Callable[[str], Flash]) -> Flash:
    """The plain tiny checkpoint."""
    return flash_of("plain")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that need a card are left out where there is none."""
    if torch.cuda.is_available():
        return
    needs_card = [item for item in items if item.get_closest_marker("gpu")]
    if needs_card:
        config.hook.pytest_deselected(items=needs_card)
        items[:] = [item for item in items if not item.get_closest_marker("gpu")]
