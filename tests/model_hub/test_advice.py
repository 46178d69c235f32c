"""What is said of a machine, for machines made up here; and the catalogue against the known facts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.models.state import offers_of
from commands.models.advice import Advice, Machine, advise, default_choice, known_shapes
from commands.models.listing import look
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import count_parameters, expected_tensors
from model_hub.catalogue import find, load_catalogue
from model_hub.store import ModelStore

GB = 10**9
PC = Machine("processor, 8 cores", False, 32 * GB, 28 * GB, 500 * GB, 8, 50e9)
CARD = Machine("a card", True, 24 * GB, 23 * GB, 500 * GB, 8, 900e9)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def of(name: str, machine: Machine, store: ModelStore) -> Advice:
    entry = next(entry for entry in load_catalogue() if entry.name == name)
    return advise(entry, machine, store)


def test_the_published_shape_is_known_exactly() -> None:
    tensors = expected_tensors(parse_config(known_shapes()["30b-a3b"]))
    assert (len(tensors), count_parameters(tensors)) == (28_010, 35_259_818_545)
    entry = find(load_catalogue(), "Qwen/Qwen3-Omni-30B-A3B-Instruct")
    assert entry is not None
    assert entry.n_bytes == 2 * 35_259_818_545
    assert entry.exact_size


def test_verdicts(store: ModelStore) -> None:
    assert of("qwen3-omni", PC, store).verdict == "fits"
    assert of("qwen3-omni", CARD, store).verdict == "fits"
    small = replace(CARD, memory_bytes=16 * GB, free_bytes=15 * GB)
    with_settings = of("qwen3-omni", small, store)
    assert with_settings.verdict == "fits with settings"
    assert any("host memory" in line for line in with_settings.settings)
    busy = of("qwen3-omni", replace(PC, free_bytes=12 * GB), store)
    assert busy.verdict == "fits with settings"
    assert "close other programs" in busy.settings[-1]
    laptop = of("qwen3-omni", replace(PC, memory_bytes=16 * GB, free_bytes=12 * GB), store)
    assert laptop.verdict == "does not fit"
    assert "It needs at least" in laptop.why
    full = of("qwen3-omni", replace(PC, disk_bytes=10 * GB), store)
    assert full.verdict == "does not fit"
    assert "of disk" in full.why


def test_the_default_is_what_fits_else_what_is_here(store: ModelStore) -> None:
    for machine, name in ((PC, "qwen3-omni"), (replace(PC, memory_bytes=8 * GB, free_bytes=6 * GB), "flash-mini")):
        assert default_choice(tuple(advise(entry, machine, store) for entry in load_catalogue())) == name


def test_speed_follows_the_memory_and_is_called_derived(store: ModelStore) -> None:
    slow, fast = of("qwen3-omni", PC, store), of("qwen3-omni", replace(PC, read_bytes_per_s=100e9), store)
    assert slow.real_time_factor is not None
    assert fast.real_time_factor is not None
    assert slow.real_time_factor == pytest.approx(2 * fast.real_time_factor)
    assert slow.speed_is == "derived, at best"
    thinking = of("qwen3-omni-thinking", PC, store)
    assert thinking.real_time_factor is None  # it has no voice
    assert thinking.memory_bytes < slow.memory_bytes


def test_the_list_for_programs_is_what_the_page_reads(store: ModelStore) -> None:
    offers, machine = offers_of(json.loads(json.dumps(look(store))))
    assert [offer.name for offer in offers] == [entry.name for entry in load_catalogue()]
    assert machine.startswith("This machine: ")
    assert offers[-1].is_here  # flash-mini comes with Sightline
