"""The small commands of the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import main
from app.history import History
from app.view import Latency, TranscriptTurn
from commands.converse import printable
from commands.latency_bench import percentile, summarise, table


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    path = tmp_path / "history.sqlite3"
    monkeypatch.setattr("app.history.history_path", lambda: path)
    monkeypatch.setattr("commands.history.history_path", lambda: path)
    history = History(path)
    number = history.begin("flash-mini", 0.0)
    history.save(number, TranscriptTurn(1, "user", 1.0, "What is\x1b[2J it?", done=True))
    history.save(number, TranscriptTurn(2, "assistant", 2.0, "A cup", done=True, cut=True, cut_by="interrupted"))
    history.close()
    return number


def test_history_lists_shows_saves_and_deletes(stored: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["history"]) == 0
    assert "2 turns" in capsys.readouterr().out
    assert main.main(["history", "--show", str(stored)]) == 0
    shown = capsys.readouterr().out
    assert "Sightline: A cup … (interrupted)" in shown
    assert "\x1b" not in shown
    assert main.main(["history", "--show", str(stored), "--json", "--out", str(tmp_path / "out.json")]) == 0
    assert len(json.loads((tmp_path / "out.json").read_text())["turns"]) == 2
    assert main.main(["history", "--show", "99"]) == 2
    with pytest.raises(SystemExit, match="2"):
        main.main(["history", "--json"])
    assert main.main(["history", "--show", str(stored), "--out", "/proc/nowhere"]) == 5
    assert main.main(["history", "--delete", str(stored)]) == 0
    assert main.main(["history", "--delete", str(stored)]) == 2
    assert main.main(["history", "--delete-all"]) == 0
    assert main.main(["history"]) == 0
    said, errors = capsys.readouterr()
    assert "Nothing is stored yet" in said
    assert "There is no conversation 99" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", [["nonsense"], ["bench", "nonsense"], ["bench", "latency", "--turns", "0"]])
def test_what_does_not_exist_is_a_message(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments) == 2
    assert capsys.readouterr().err.startswith("sightline: ")


def test_the_doctor_says_whether_conversations_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "sightline" / "history.sqlite3"

    def finding() -> tuple[str, str]:
        main.main(["doctor", "--no-engine", "--json"])
        found = json.loads(capsys.readouterr().out)
        one = next(one for one in found["findings"] if one["name"] == "history")
        return one["status"], one["detail"]

    assert finding() == ("ok", f"{path} (not there yet)")
    assert not path.exists()
    path.parent.mkdir()
    path.write_bytes(b"no database" * 1000)
    status, detail = finding()
    assert status == "warning"
    assert "not a database" in detail
    path.unlink()
    history = History(path)
    history.save(history.begin("m"), TranscriptTurn(1, "user", 0.0, "Hello", done=True))
    history.close()
    assert finding() == ("ok", f"{path} (1 conversation)")


@pytest.mark.parametrize("closed", ["sightline", "sightline/history.sqlite3"])
def test_the_doctor_says_what_to_make_writable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    History(tmp_path / "sightline" / "history.sqlite3").close()
    really = os.access
    # Whoever may write everywhere, as many test machines' user may, cannot be shown a closed door otherwise.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path / closed and really(path, mode))
    main.main(["doctor", "--no-engine", "--json"])
    found = json.loads(capsys.readouterr().out)
    one = next(one for one in found["findings"] if one["name"] == "history")
    assert one["status"] == "warning"
    assert one["detail"] == f"{tmp_path / closed} may not be written to; conversations are not kept"
    assert one["remedy"] == f"Make it writable: chmod u+w {tmp_path / closed}"


@pytest.mark.parametrize("arguments", [["--help"], ["bench"], ["bench", "--help"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(arguments) == 0
    assert "usage: sightline" in capsys.readouterr().out


def test_percentiles_are_of_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 21)]
    assert (percentile(values, 0.5), percentile(values, 0.95)) == (10.0, 19.0)
    assert percentile([7.0], 0.95) == 7.0
    latencies = [Latency(n, commit_ms=float(n), first_sample_ms=10.0 * n) for n in range(1, 21)]
    summary = summarise(latencies)
    assert summary["first_sample_ms"] == {"p50": 100.0, "p95": 190.0, "n": 20}
    assert "first_text_ms" not in summary
    assert len(table(summary).splitlines()) == 3


def test_generated_text_does_not_command_the_terminal() -> None:
    assert printable("a\x1b[2Jb\u202ec\n") == "a [2Jb c"
