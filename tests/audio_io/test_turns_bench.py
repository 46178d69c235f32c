"""The bench of turn ends: its scores are right for judges whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_io.turns_bench import PAUSES_S, Border, main, score, table, word_borders


def border(is_end: bool, completeness: float) -> Border:
    return Border("a.flac", "word", 1.0, is_end, {"smart turn": completeness, "ours": completeness})


PERFECT = [border(True, 0.999)] * 4 + [border(False, 0.001)] * 4
BLIND = [border(True, 0.999)] * 4 + [border(False, 0.999)] * 4


def test_silence_alone_waits_the_same_for_all_and_cuts_off_who_pauses_longer() -> None:
    row = score("silence", PERFECT)
    assert (row.latency_p50_s, row.latency_p95_s, row.within_half_a_second) == (0.6, 0.6, 0.0)
    assert row.false_by_pause == (1.0, 1.0, 1.0)
    assert row.false_at_budget == pytest.approx((1.0, 1.0))
    assert row.wait_at_false == pytest.approx((1.51, 1.51))


@pytest.mark.parametrize("judge", ["smart turn", "ours"])
def test_a_judge_that_knows_waits_for_nobody_and_cuts_off_nobody(judge: str) -> None:
    row = score(judge, PERFECT)
    assert row.latency_p95_s < 0.3
    assert row.within_half_a_second == 1.0
    assert row.false_by_pause == (0.0, 0.0, 0.0)
    assert row.false_at_budget == (0.0, 0.0)


@pytest.mark.parametrize("judge", ["smart turn", "ours"])
def test_a_judge_that_knows_nothing_is_shown_as_one(judge: str) -> None:
    row = score(judge, BLIND)
    assert row.false_by_pause == (1.0, 1.0, 1.0)
    assert min(wait_s for wait_s in row.wait_at_false if wait_s is not None) > max(PAUSES_S)  # it may as well wait
    assert "100%" in table([row])


def test_a_folder_without_words_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--speech", str(tmp_path)]) == 1
    assert "transcripts.tsv" in capsys.readouterr().err


def test_words_are_found_where_they_are_spoken(tmp_path: Path) -> None:
    from audio_io.wav_file import write_wav
    from tests.audio_io.voices import scene, spoken

    write_wav(tmp_path / "a.wav", scene((0.5, spoken("is the red cup still on the table")), length_s=3.5), 16_000)
    (tmp_path / "transcripts.tsv").write_text("a.wav\tIs the red cup still on the table?\n", encoding="utf-8")
    ((path, words),) = word_borders(tmp_path, 1, 0)
    assert path.name == "a.wav"
    assert [word for word, _ in words] == ["is", "the", "red", "cup", "still", "on", "the", "table"]
    ends = [at_s for _, at_s in words]
    assert ends == sorted(ends)
    assert 2.0 < ends[-1] < 3.2
