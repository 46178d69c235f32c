"""The bench of storages on a tiny checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.bench.quantize import main
from model.bench.random_checkpoint import write_sized


def test_errors_are_small_and_only_where_something_is_quantised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sized(tmp_path, "tiny")
    result = tmp_path / "result.json"
    assert main(["--checkpoint", str(tmp_path), "--group", "32", "--json", str(result)]) == 0
    assert "Thinker experts" in capsys.readouterr().out
    rows = {(row["storage"], row["quantised"]): row for row in json.loads(result.read_text())}
    whole8, whole4 = rows["int8", "all"], rows["int4", "all"]
    assert 0 < whole8["thinker"] < whole4["thinker"] < 1
    assert 0 < whole8["talker"] < whole4["talker"]
    talker_only = rows["int4", "Talker experts"]
    # The same weights: what is left is the order of sums, which depends on the processor.
    assert max(talker_only["thinker"], talker_only["sound"]) < 1e-5 < talker_only["talker"]
    assert rows["int4", "audio encoder"]["sound"] > 0
    assert main(["--checkpoint", str(tmp_path / "none")]) == 1
