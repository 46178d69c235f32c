"""What is said of a machine, for machines made up here; and the catalogue against the known facts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.models.state import offers_of
from commands.models.advice import AT_BEST, END_OF_TURN_S, Advice, Machine, advise, default_choice, known_shapes
from commands.models.listing import look
from commands.models.measured import Measured, keep_first_sound, keep_speed, read_measured
from model.bench.machine import Machine as Speed
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
    slow = of("qwen3-omni", PC, store).expects
    fast = of("qwen3-omni", replace(PC, read_bytes_per_s=100e9), store).expects
    assert slow.real_time_factor is not None
    assert fast.real_time_factor is not None
    assert slow.real_time_factor == pytest.approx(2 * fast.real_time_factor)
    assert slow.first_sound_is == slow.real_time_factor_is == AT_BEST
    assert slow.words(speaks=True).count("derived, at best") == 1
    thinking = of("qwen3-omni-thinking", PC, store)
    assert thinking.expects.real_time_factor is None  # it has no voice
    assert thinking.expects.words(speaks=False).startswith("First word ")
    assert thinking.memory_bytes < of("qwen3-omni", PC, store).memory_bytes
    # What others have packed keeps its Talker in 16 bits, so it takes more than ours.
    assert of("qwen3-omni-awq", PC, store).memory_bytes > of("qwen3-omni", PC, store).memory_bytes + 5 * GB


# ---- what was measured here ------------------------------------------------------------------------------------------

SPEED = Speed(2, "avx2", 30e9, 16e9, 15e9, 285e9, 412e9, 28 * GB)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("commands.models.measured.platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "c"))
    return tmp_path / "c" / "measured.json"


def test_the_speed_test_is_used_once_it_has_run(store: ModelStore, cache: Path) -> None:
    assert read_measured() == Measured()
    keep_speed(SPEED)
    measured = read_measured()
    assert measured.speed == SPEED
    machine = replace(PC, measured=measured)
    ours = of("qwen3-omni", machine, store).expects
    assert ours.real_time_factor == SPEED.real_time_factor
    assert ours.first_sound_s == pytest.approx(SPEED.first_sound_s + END_OF_TURN_S)
    assert "derived from the speed that “bench machine” measured here on " in ours.words(speaks=True)
    thinking = of("qwen3-omni-thinking", machine, store).expects
    assert thinking.first_sound_s == pytest.approx(SPEED.first_word_s + END_OF_TURN_S)
    # It speaks of our int4 on a processor, and of nothing else.
    assert of("qwen3-omni-awq", machine, store).expects.first_sound_is == AT_BEST
    assert of("qwen3-omni", replace(CARD, measured=measured), store).expects.first_sound_is == AT_BEST
    # A machine that is at work while it is asked reads more slowly than it can.
    busy = of("qwen3-omni-awq", replace(machine, read_bytes_per_s=1e9), store).expects
    assert busy == of("qwen3-omni-awq", replace(PC, read_bytes_per_s=SPEED.read_bytes_per_s), store).expects


def test_what_was_measured_of_a_model_goes_before_what_is_derived(store: ModelStore, cache: Path) -> None:
    keep_speed(SPEED)
    keep_first_sound("flash-mini", 0.25, 20)
    keep_first_sound("Qwen--Qwen3-Omni-30B-A3B-Instruct-int4", 2.5, 7)
    machine = replace(PC, measured=read_measured())
    shipped = of("flash-mini", machine, store).expects
    assert shipped.words(speaks=True).startswith("First sound 0.25 s after a question (measured here on ")
    assert of("qwen3-omni", machine, store).expects.first_sound_s != 2.5  # it is not here: that was another folder
    folder = store.path("Qwen--Qwen3-Omni-30B-A3B-Instruct-int4")
    folder.mkdir(parents=True)
    record = {"address": "hf:Qwen/Qwen3-Omni-30B-A3B-Instruct", "revision": "1", "bits": 4, "n_bytes": 1}
    (folder / "sightline-model.json").write_text(json.dumps(record))
    here = of("qwen3-omni", machine, store).expects
    assert (here.first_sound_s, here.real_time_factor) == (2.5, SPEED.real_time_factor)
    assert "the middle of 7 replies" in here.first_sound_is
    assert here.real_time_factor_is.startswith("derived from")


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"speed": {}}', '{"speed": null}', '{"speed": {"threads": 2}}', '{"first_sounds": {"a": 3}}',
     '{"speed": {"threads": 2, "kind": "", "read_bytes_per_s": 0, "int4_bytes_per_s": 1, "int8_bytes_per_s": 1, '
     '"many_rows_flops": 1, "float_flops": 1, "free_bytes": 1}}', '{"first_sounds": {"a": {"seconds": "x"}}}'],
)  # fmt: skip
def test_what_cannot_be_understood_was_not_measured(cache: Path, content: str) -> None:
    keep_speed(SPEED)
    mine = json.loads(cache.read_text())
    try:
        broken = json.loads(content)
        broken = broken if isinstance(broken, list) else {key: mine[key] for key in ("format", "machine")} | broken
        cache.write_text(json.dumps(broken))
    except ValueError:
        cache.write_text(content)
    assert read_measured() == Measured()
    keep_speed(SPEED)
    assert read_measured().speed == SPEED


def test_another_machine_with_the_same_home_has_figures_of_its_own(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_speed(SPEED)
    monkeypatch.setattr("commands.models.measured.platform.node", lambda: "elsewhere")
    assert read_measured() == Measured()


def test_figures_that_cannot_be_kept_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("commands.models.measured.platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "file"))
    keep_speed(SPEED)
    assert "could not be kept" in capsys.readouterr().err


def test_the_list_for_programs_is_what_the_page_reads(store: ModelStore) -> None:
    offers, machine = offers_of(json.loads(json.dumps(look(store))))
    assert [offer.name for offer in offers] == [entry.name for entry in load_catalogue()]
    assert machine.startswith("This machine: ")
    assert offers[-1].is_here  # flash-mini comes with Sightline
