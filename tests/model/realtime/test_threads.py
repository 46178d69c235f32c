"""How many threads the engine computes with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from model.flash import Flash
from model.realtime import threads
from model.realtime.threads import is_small, use_fitting_threads


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_small_model_has_one_thread(flash: Flash) -> None:
    assert is_small(flash)
    use_fitting_threads(flash)
    assert torch.get_num_threads() == 1


def test_a_large_one_has_them_all(flash: Flash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "SMALL_WEIGHTS", 10)
    assert not is_small(flash)
    use_fitting_threads(flash)
    assert torch.get_num_threads() == 2


def test_what_the_user_set_counts(flash: Flash, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    use_fitting_threads(flash)
    assert torch.get_num_threads() == 2
