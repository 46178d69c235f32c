"""The memory plan of the published config and of cards it does not fit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from commands.models.planning import EXIT_DOES_NOT_FIT, main
from model.checkpoint.config import ModelConfig, parse_config
from model.checkpoint.tensors import expected_tensors
from model.quant.advice import fit_plan
from model.quant.parts import Component, part_of
from model.quant.plan import GB, Settings, make_plan, parse_bytes

PUBLISHED = Path(__file__).parents[1] / "data" / "qwen3_omni_30b_a3b.config.json"


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return parse_config(json.loads(PUBLISHED.read_text()))


def test_the_published_model_with_speech_fits_24_gb(config: ModelConfig) -> None:
    plan = fit_plan(config, Settings(context=8192), 24 * GB)
    assert plan.fits
    assert plan.advice == ()
    assert plan.card_bytes <= 22.5 * GB
    assert plan.host_bytes == 0


@pytest.mark.parametrize("card_gb", [12, 16])
def test_smaller_cards_fit_with_experts_in_host_memory(config: ModelConfig, card_gb: int) -> None:
    plan = fit_plan(config, Settings(context=8192), card_gb * GB)
    assert plan.fits
    assert plan.settings.host_expert_layers > 0
    assert plan.settings.context == 8192
    assert any("host memory" in line for line in plan.advice)
    whole = make_plan(config, Settings(context=8192), card_gb * GB)
    assert not whole.fits
    experts = {row.name: row for row in plan.rows}[Component.THINKER_EXPERTS]
    assert (
        experts.card_bytes + experts.host_bytes == {r.name: r for r in whole.rows}[Component.THINKER_EXPERTS].card_bytes
    )


def test_a_long_context_is_shortened_before_experts_move(config: ModelConfig) -> None:
    plan = fit_plan(config, Settings(context=65536), 24 * GB)
    assert plan.fits
    assert plan.settings.context < 65536
    assert plan.settings.host_expert_layers == 0


@pytest.mark.parametrize("limit_gb", [10, 14, 20, 22, 30, 40, 60, 80])
def test_every_piece_of_advice_is_needed(config: ModelConfig, limit_gb: int) -> None:
    asked = Settings(bits=16, encoder_bits=16, context=16384)
    plan = fit_plan(config, asked, limit_gb * GB)
    if not plan.fits or plan.settings.host_expert_layers:
        return
    for name in ("bits", "embedding_on_host", "cache_bits", "context"):
        if getattr(plan.settings, name) != getattr(asked, name):
            back = replace(plan.settings, **{name: getattr(asked, name)})
            assert not make_plan(config, back, limit_gb * GB).fits, name


def test_a_card_that_can_never_hold_it_is_told_so(config: ModelConfig) -> None:
    plan = fit_plan(config, Settings(), 2 * GB)
    assert not plan.fits
    assert "does not fit" in plan.advice[-1]


def test_every_tensor_has_a_part(config: ModelConfig) -> None:
    parts = {part_of(name) for name in expected_tensors(config)}
    assert parts == set(Component) - {Component.THINKER_DENSE}
    with pytest.raises(KeyError):
        part_of("lm_head.weight")


@pytest.mark.parametrize(("text", "n_bytes"), [("24GB", 24 * GB), ("22.5 gb", 22_500_000_000), ("512MB", 512_000_000)])
def test_sizes(text: str, n_bytes: int) -> None:
    assert parse_bytes(text) == n_bytes


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "config.json"
    path.write_text(PUBLISHED.read_text())
    assert main(["plan", "--config", str(path), "--card", "24GB", "--context", "8192", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    assert main(["plan", "--config", str(tmp_path), "--card", "16GB", "--exact"]) == EXIT_DOES_NOT_FIT
    assert "DOES NOT FIT" in capsys.readouterr().out
    assert main(["plan", "--config", str(tmp_path), "--card", "cpu:24GB", "--context", "4096"]) == 0
    assert "fits in 24.0 GB at 4096 positions" in capsys.readouterr().out
    assert main(["plan", "--config", str(tmp_path), "--card", "CPU:12GB"]) == EXIT_DOES_NOT_FIT
    assert "host memory" not in capsys.readouterr().out  # a PC has but one
    assert main(["plan", "--config", str(path), "--card", "big"]) == 1
    assert "24GB" in capsys.readouterr().err
    assert main(["plan", "--config", str(tmp_path / "none.json")]) == 1
    path.write_text("{")
    assert main(["plan", "--config", str(path)]) == 1
    assert "not valid JSON" in capsys.readouterr().err
