"""The benchmarks run, compare like with like, and say so when they do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.bench import reference as bench
from model.bench.sides import Case, Measured


@pytest.mark.slow
def test_reference_and_ours_say_the_same(checkpoint_of: Callable[[str], Path], tmp_path, capsys):
    out = tmp_path / "result.json"
    arguments = ["reference", "--checkpoint", str(checkpoint_of("plain")), "--sound-s", "2.5", "--pictures", "2"]
    status = bench.main([*arguments, "--tokens", "4", "--frames", "6", "--threads", "1", "--json", str(out)])
    result = json.loads(out.read_text())
    assert status == 0, result["table"]
    assert result["same_text"]
    assert result["same_codes"]
    assert result["largest_sample_difference"] < 1e-4
    assert all(row["reference"] > 0 and row["ours"] >= 0 for row in result["rows"])
    assert "whole reply" in capsys.readouterr().out


def test_turns_are_timed_and_stay_bounded(checkpoint_of: Callable[[str], Path], tmp_path):
    out = tmp_path / "turns.json"
    arguments = ["turns", "--checkpoint", str(checkpoint_of("plain")), "--turns", "20", "--max-positions", "512"]
    assert bench.main([*arguments, "--threads", "1", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["turns"] for row in rows] == list(range(2, 21, 2))
    assert all(row["ms_per_turn"] > 0 for row in rows)


def measured(tmp_path: Path, name: str, samples: list[float]) -> Measured:
    file = tmp_path / f"{name}.npy"
    np.save(file, np.array(samples, np.float32))
    return Measured(2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 100.0, 50.0, 1.0, [1, 2], [[3, 4]], samples_file=str(file))


def test_a_difference_is_a_failure(tmp_path):
    case = Case(tmp_path, 1.0, 1, 2, 1, 1)
    ours, same = measured(tmp_path, "ours", [0.1, 0.2]), measured(tmp_path, "reference", [0.1, 0.2])
    assert bench.compare(case, ours, same)["ok"]
    for other in (
        replace(same, tokens=[1, 3]),
        replace(same, codes=[[3, 5]]),
        measured(tmp_path, "louder", [0.1, 0.3]),
        measured(tmp_path, "longer", [0.1, 0.2, 0.0]),
    ):
        assert not bench.compare(case, ours, other)["ok"]


def test_a_broken_checkpoint_is_an_error_of_one_line(tmp_path, capsys):
    status = bench.main(["turns", "--checkpoint", str(tmp_path / "none"), "--turns", "1"])
    assert status == 1
    assert "does not exist; give the folder" in capsys.readouterr().err
