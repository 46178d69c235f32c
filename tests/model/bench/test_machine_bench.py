"""What a machine can do, in words and figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from model.bench import cpu, machine
from model.bench.machine import GB, Machine
from model.bench.random_config import make_tokenizer, random_config


def of(rate: float, free_gb: float = 30.0) -> Machine:
    return Machine(2, "avx2", 40 * GB, rate * GB, rate * GB, 500 * GB, 300 * GB, int(free_gb * GB))


def test_the_figures_follow_the_products() -> None:
    slow, fast = of(10), of(40)
    assert slow.token_s == pytest.approx(4 * fast.token_s)
    assert slow.real_time_factor > fast.real_time_factor
    assert fast.token_s == pytest.approx(3.0e9 * 0.53 / 40e9, rel=0.1)  # three billion weights for a token
    assert fast.reading_s(300) < 300 * fast.token_s  # experts are read once for many positions
    assert fast.first_sound_s > fast.token_s


def test_it_says_in_words_what_will_happen() -> None:
    assert "without a break" in of(100).words()
    assert "wait long" in of(5).words()
    assert "does not fit" in of(40, free_gb=8).words()
    assert "close other programs" in of(40, free_gb=0.5).words()


def test_the_quick_form_measures(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On tiny shapes, so that the test is quick; every figure is there and positive."""
    monkeypatch.setattr(machine, "HIDDEN", 256)
    monkeypatch.setattr(machine, "INNER", 64)
    assert machine.main(["--seconds", "0.2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(found["measured"][name] > 0 for name in ("read_bytes_per_s", "int4_bytes_per_s", "int8_bytes_per_s"))
    assert all(value > 0 for value in found["derived"].values())


def test_bench_cpu_runs_a_small_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(random_config(make_tokenizer())))
    out = tmp_path / "out.json"
    arguments = [
        "--config", str(config), "--layers", "1", "--group", "32", "--steps", "2", "--prefills", "1",
        "--positions", "1500", "--sound-s", "1", "--speech-s", "0.4", "--dtype", "float32", "--json", str(out),
    ]  # fmt: skip
    assert cpu.main(arguments) == 0
    result = json.loads(out.read_text())
    assert {row["step"] for row in result["steps"]} == {"Thinker token", "codec frame", "sound of a frame"}
    assert all(row["ms"] > 0 and row["share_of_bandwidth"] > 0 for row in result["steps"])
    assert [row["tokens"] for row in result["prefill"]] == list(cpu.PREFILLS)
    assert "of the bandwidth" in capsys.readouterr().out
    assert cpu.main(["--config", str(tmp_path / "none.json")]) == 1


def test_fewer_layers_keep_the_shapes() -> None:
    published = json.loads((Path(__file__).parents[1] / "data" / "qwen3_omni_30b_a3b.config.json").read_text())
    cut = cpu.shortened(published, 4)
    assert cut["thinker_config"]["text_config"]["num_hidden_layers"] == 4
    assert cut["talker_config"]["text_config"]["num_hidden_layers"] == 4
    assert cut["thinker_config"]["text_config"]["hidden_size"] == 2048
    assert cpu.shortened(published, None) is published
    assert isinstance(cpu._parser(), argparse.ArgumentParser)
