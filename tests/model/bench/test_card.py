"""`main.py bench card` on small shapes without a card: every part runs, and what it says adds up."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.bench.card import bench
from model.bench.card.bench import main
from model.bench.card.conversation import union_ms
from model.bench.card.peer import fewer_layers
from model.bench.card.steps import step_bytes, time_steps, weight_bytes
from model.bench.random_config import make_tokenizer, random_config
from model.bench.random_model import random_model, with_small_tokenizer
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import expected_tensors
from model.conversation.session import Session
from model.errors import InputError
from model.memory import Memory
from model.quant.packing import QuantSpec
from model.quant.parts import Policy, default_policy
from model.quant.placement import HostEmbedding, HostExperts
from model.quant.plan import Settings, make_plan
from tests.model.talk import noise, picture, say

PUBLISHED = Path(__file__).parents[1] / "data" / "qwen3_omni_30b_a3b.config.json"
POLICY = default_policy(4, 32)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(random_config(make_tokenizer())))
    return path


@pytest.mark.slow
def test_every_part(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(tiny), "--device", "cpu", "--positions", "600", "--graphs", "static"]
    arguments += ["--turns", "1", "--steps", "3", "--tokens", "4", "--frames", "4", "--sound-s", "1", "--pictures", "1"]
    arguments += ["--only", "fit", "latency", "steps", "profile", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "out" / "gpu-results.md").read_text() == text
    result = json.loads((tmp_path / "out" / "gpu-results.json").read_text())
    assert [row["n_pictures"] for row in result["latency"]] == [0, 1]
    assert [row["step"] for row in result["steps"]] == ["Thinker token", "codec frame", "sound of a frame"]
    assert all(row["ms"] > 0 and row["bytes_read"] > 0 for row in result["steps"])
    assert 0 < result["profile"]["busy_ms"] <= result["profile"]["total_ms"] * 1.5
    assert "Thinker token" in text


SMALL = ["--device", "cpu", "--positions", "600", "--graphs", "static", "--turns", "1", "--steps", "3", "--tokens", "4"]
SMALL += ["--frames", "4", "--sound-s", "1", "--pictures", "1"]


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory"), subprocess.TimeoutExpired("pytest", 1800)], ids=str
)
def test_a_part_that_fails_costs_no_other(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Time on a card is short: what was found before is on disk when a part fails, and the next part runs."""
    on_disk = {}

    def fail(*_: object) -> None:
        on_disk.update(json.loads((tmp_path / "gpu-results.json").read_text()))
        raise error

    monkeypatch.setattr(bench, "latency", fail)
    only = ["--only", "fit", "latency", "steps", "--out", str(tmp_path)]
    assert main(["--config", str(tiny), *SMALL, *only]) == 1
    assert on_disk["fit"]["caches"] > 0
    result = json.loads((tmp_path / "gpu-results.json").read_text())
    assert list(result["failed"]) == ["latency"]
    assert len(result["steps"]) == 3
    assert str(error) in (tmp_path / "gpu-results.md").read_text()


@pytest.mark.parametrize("option", ["--turns", "--steps"])
def test_nothing_to_measure_is_refused(tiny: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--config", str(tiny), *SMALL, option, "0"])
    assert "expected 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("graphs", ["off", "static"])
def test_steps_after_the_end_of_a_text_are_not_timed(graphs: str) -> None:
    config = random_config(make_tokenizer())
    flash = random_model(config, POLICY, device="cpu", dtype="float32", graphs=graphs)
    every = frozenset(range(flash.config.thinker.text.vocab_size))
    flash.generation = replace(flash.generation, stop_ids=every)
    session = Session(flash, "", seed=0, max_positions=600)
    session.read("Go on.")
    with pytest.raises(InputError, match="after 0 of 3"):
        time_steps(flash, session, 3)


def test_a_missing_config_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "none.json"), "--device", "cpu"]) == 1
    assert "bench card" in capsys.readouterr().err


@pytest.mark.parametrize("graphs", ["off", "static"])
def test_a_random_model_talks(graphs: str) -> None:
    memory = Memory(embedding_on_host=True, host_expert_layers=2, cache_bits=8)
    config = random_config(make_tokenizer())
    flash = random_model(config, POLICY, device="cpu", dtype="float32", memory=memory, graphs=graphs)
    assert isinstance(flash.thinker.model.embed_tokens, HostEmbedding)
    assert any(isinstance(module, HostExperts) for module in flash.thinker.modules())
    session = Session(flash, "", seed=0, max_positions=600)
    session.see(picture(64, 64), at_s=0.1)
    session.hear(noise(0.6))
    said = say(session, max_tokens=4, max_frames=4)
    assert len(said.tokens) == 4
    assert said.samples.any()


def test_random_models_repeat() -> None:
    config = random_config(make_tokenizer())
    one, other = (random_model(config, POLICY, device="cpu", dtype="float32") for _ in range(2))
    assert torch.equal(one.thinker.lm_head.weight.words, other.thinker.lm_head.weight.words)  # type: ignore[union-attr]


def test_its_weights_are_those_of_the_plan() -> None:
    """What a random model takes is what the plan says for its storage."""
    config = random_config(make_tokenizer())
    flash = random_model(config, POLICY, device="cpu", dtype="float32")
    plan = make_plan(flash.config, Settings(group=32, float_bytes=4), 10**12)
    planned = {row.name: row.card_bytes for row in plan.rows}
    experts = sum(
        layer.mlp.experts.gate_up.n_bytes + layer.mlp.experts.down.n_bytes
        for layer in flash.thinker.model.layers
        if hasattr(layer.mlp, "experts")
    )
    assert experts == planned["Thinker experts"]


def test_a_step_reads_the_chosen_experts_only() -> None:
    config = random_config(make_tokenizer())
    flash = random_model(config, Policy({}), device="cpu", dtype="float32")
    layer = next(layer for layer in flash.thinker.model.layers if hasattr(layer.mlp, "experts"))
    mlp = layer.mlp
    all_experts = mlp.experts.gate_up.nbytes + mlp.experts.down.nbytes
    n_experts = mlp.experts.gate_up.shape[0]
    others = sum(parameter.nbytes for name, parameter in mlp.named_parameters() if "experts." not in name)
    assert weight_bytes(mlp) == others + all_experts * mlp.top_k // n_experts
    assert step_bytes(flash, 100)["Thinker token"] < step_bytes(flash, 200)["Thinker token"]


def test_the_published_shapes_with_fewer_layers() -> None:
    content = fewer_layers(json.loads(PUBLISHED.read_text()), 4)
    config = parse_config(content)
    assert config.thinker.text.num_hidden_layers == config.talker.text.num_hidden_layers == 4  # type: ignore[union-attr]
    n_experts = config.thinker.text.num_experts
    assert sum(".experts." in name for name in expected_tensors(config)) == 2 * 4 * n_experts * 3
    assert with_small_tokenizer(json.loads(PUBLISHED.read_text()))["talker_config"]["codec_bos_id"] == 2149


def test_overlapping_kernels_count_once() -> None:
    assert union_ms([(0, 1000), (500, 1500), (3000, 4000), (3100, 3200)]) == 2.5


def test_words_are_drawn_over_their_whole_range() -> None:
    config = random_config(make_tokenizer())
    flash = random_model(config, Policy(dict(POLICY.storage)), device="cpu", dtype="float32", graphs="static")
    weight = flash.thinker.lm_head.weight
    assert weight.spec == QuantSpec(4, 32)  # type: ignore[union-attr]
    exact = weight.dequantize(torch.float32)  # type: ignore[operator]
    assert abs(exact.std() * exact.shape[1] ** 0.5 - 1) < 0.1
