"""`main.py converse` as people run it: its own process, the real engine, and every way of getting it wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_io.wav_file import read_wav, write_wav
from tests.app.engine_server import TOKEN, engine_server
from tests.model.realtime.scripted import ScriptedFlash

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "assets" / "samples"
QUESTION = str(SAMPLES / "question-1.wav")
PICTURE = str(SAMPLES / "table.jpg")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's folders: nothing of this machine's user is read or changed."""
    return tmp_path_factory.mktemp("home")


def converse(home: Path, *arguments: str, limit_s: float = 280.0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"}
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DISPLAY", "WAYLAND_DISPLAY"):
        environment.pop(name, None)
    command = [sys.executable, str(ROOT / "main.py"), "converse", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=limit_s, env=environment, cwd=home, check=False
    )


def read_json(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def test_a_conversation_with_the_real_engine(home: Path, tmp_path: Path) -> None:
    """Whatever checkpoint the project has: a spoken question about a picture, then a typed one."""
    out = tmp_path / "out"
    said = ["--say", QUESTION, "--text", "And now?"]
    done = converse(home, *said, "--watch", PICTURE, "--out", str(out), "--limit", "2", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    transcript = read_json(out / "transcript.json")
    assert summary["turns"] == transcript["turns"]
    users = [turn for turn in transcript["turns"] if turn["role"] == "user"]
    assert [turn["spoken"] for turn in users] == [True, False]
    assert users[1]["text"] == "And now?"
    replies = [turn for turn in transcript["turns"] if turn["role"] == "assistant"]
    assert len(replies) == 2
    timing = read_json(out / "timing.json")
    assert len(timing["replies"]) == sum(turn["sound"] is not None for turn in replies)
    for turn in replies:
        if turn["sound"] is not None:
            samples = read_wav(out / turn["sound"], 24_000)
            assert len(samples) == pytest.approx(turn["heard_ms"] * 24, abs=24)
            assert np.abs(samples).max() > 0
    assert transcript["problems"] == []
    assert not transcript["engine"]["remote"]


def test_with_an_engine_that_runs_already_at_the_pace_of_speech(home: Path, tmp_path: Path) -> None:
    flash = ScriptedFlash()
    with engine_server(flash) as url:
        arguments = ("--say", QUESTION, "--out", str(tmp_path / "out"), "--engine", url, "--token", TOKEN, "--realtime")
        done = converse(home, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Sightline: One two three four." in done.stdout
    timing = read_json(tmp_path / "out" / "timing.json")
    (latency,) = timing["replies"]
    assert latency["segment_end_ms"] > 100  # silence has to last before the end is certain
    assert latency["first_sample_ms"] >= latency["segment_end_ms"]
    assert len(read_wav(tmp_path / "out" / "reply-1.wav", 24_000)) == 4 * 1920


def test_nobody_speaks_in_the_file(home: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, 16_000).astype(np.float32)
    write_wav(tmp_path / "silence.wav", noise, 16_000)
    with engine_server() as url:
        done = converse(
            home, "--say", str(tmp_path / "silence.wav"), "--out", str(tmp_path), "--engine", url, "--token", TOKEN
        )
    assert done.returncode == 4
    assert "No speech was found in" in done.stderr
    assert (tmp_path / "transcript.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--out", "out"), 2, "Nothing was said"),
        (("--say", "nowhere.wav", "--out", "out"), 2, "There is no sound file 'nowhere.wav'"),
        (("--say", PICTURE, "--out", "out"), 2, "cannot be read as sound"),
        (("--text", " ", "--out", "out"), 2, "empty --text"),
        (("--text", "half \udcff", "--out", "out"), 2, "not valid text"),
        (("--text", "hello", "--watch", QUESTION, "--out", "out"), 2, "is a sound file, not a picture or a video"),
        (("--text", "hello", "--watch", ".", "--out", "out"), 2, "has no pictures in it"),
        (("--text", "hello", "--watch", "camera:x", "--out", "out"), 2, "camera:0"),
        (("--text", "hello", "--watch", "nowhere.jpg", "--out", "out"), 2, "no picture, video or folder 'nowhere.jpg'"),
        (("--text", "hello", "--out", "/proc/nowhere"), 5, "Nothing can be written into /proc/nowhere"),
        (("--text", "hello", "--out", "out", "--engine", "http://x"), 2, "expected ws://"),
        (("--text", "hello", "--out", "out", "--engine", "ws://127.0.0.1:99999/"), 2, "expected ws://"),
        (("--text", "hello", "--out", "out", "--checkpoint", "nowhere"), 2, "nowhere does not exist"),
        (("--text", "hello", "--out", "out", "--timeout", "0"), 2, "--timeout must be above 0"),
        (("--text", "hello", "--out", "out", "--timeout", "inf"), 2, "at most 86400"),
        (("--text", "hello", "--out", "out", "--timeout", "nan"), 2, "at most 86400"),
        (("--text", "hello", "--out", "out", "--instructions", "a\udcff"), 2, "--instructions is not valid text"),
        (("--text", "hello", "--out", "out", "--voice", "a\udcff"), 2, "--voice is not valid text"),
        (("--text", "hello", "--out", "out", "--checkpoint", "a\udcff"), 2, "--checkpoint is not valid text"),
        (("--text", "hello", "--out", "out", "--watch", "a\udcff"), 2, "--watch is not valid text"),
        (("--text", "hello", "--out", "out", "--token", "a\udcff"), 2, "--token is not valid text"),
        (("--text", "hello", "--out", "out", "--model", "a\udcff"), 2, "--model is not valid text"),
        (("--text", "hello", "--out", "out", "--kind", "telephone"), 2, "There is no kind 'telephone'"),
        (("--text", "hello", "--out", "out", "--limit", "0.1"), 2, "--limit must be"),
        (("--text", "hello", "--out", "out", "--voice", "x" * 30_000), 2, "The setting voice"),
        (("--text", "hello", "--out", "out", "--colour"), 2, "unrecognized arguments"),
        (("--text", "hello"), 2, "--out"),
    ],
)
def test_what_a_user_can_get_wrong_is_a_message_and_a_code(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    import main

    monkeypatch.chdir(tmp_path)
    try:
        got = main.main(["converse", *arguments])
    except SystemExit as exit_:  # argparse's own
        got = int(str(exit_.code))
    errors = capfd.readouterr().err
    assert got == code, errors
    assert message in errors
    assert "Traceback" not in errors
    assert "Starting the engine" not in errors  # nobody waits for it to be told
    if arguments[-2] in ("--limit", "--timeout"):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_used_again_holds_this_runs_files_and_the_users_own(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with engine_server() as url:
        remote = ("--out", str(out), "--engine", url, "--token", TOKEN)
        assert converse(home, "--text", "one", "--text", "two", *remote).returncode == 0
        assert (out / "reply-2.wav").exists()
        (out / "reply-7.wav").write_bytes(b"the user's own")
        done = converse(home, "--text", "three", *remote)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "reply-1.wav", "reply-7.wav", "timing.json", "transcript.json",
    ]  # fmt: skip


def test_each_sound_is_that_of_its_turn_however_short_the_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commands.headless import Choice, Headless
    from commands.results import write_results

    monkeypatch.setattr("app.turns.MAX_TURNS", 3)
    flash = ScriptedFlash()
    with engine_server(flash) as url, Headless(Choice(engine_url=url, engine_token=TOKEN)) as run:
        run.wait_ready()
        for words in (("One.",), ("One ", "two."), ("One ", "two ", "three.")):
            flash.newest.words = words
            run.text("Count.")
        turns = write_results(run, tmp_path)["turns"]
    assert [turn["text"] for turn in turns] == ["One two.", "Count.", "One two three."]
    for turn in (turns[0], turns[2]):
        assert len(read_wav(tmp_path / turn["sound"], 24_000)) == 1920 * len(turn["text"].split())


def test_an_engine_that_dies_in_the_middle_of_a_reply(home: Path, tmp_path: Path) -> None:
    """It is started again. When nothing of the reply was heard yet the question is asked again, else the reply is cut
    and the exit code says so."""
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "main.py"), "converse", "--text", "hello", "--out", str(out), "--limit", "60"]
    environment = {**os.environ, "HOME": str(home), "OMP_NUM_THREADS": "1"} | {"XDG_CACHE_HOME": str(home / ".cache")}
    pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        said = [next(process.stderr)]
        while not said[-1].startswith("Typing"):
            said.append(next(process.stderr))
        os.kill(_engine_of(process.pid), signal.SIGKILL)
        said += process.stderr.readlines()
    text = "".join(said)
    assert "it was killed" in text
    assert "Traceback" not in text
    turns = read_json(out / "transcript.json")["turns"]
    assert [turn["role"] for turn in turns][:2] == ["user", "assistant"]
    cut = turns[1]["cut_by"] == "engine lost"
    assert process.returncode == (3 if cut else 0), text
    assert ("missing or cut" in text) == cut


def test_an_empty_answer_is_no_success(home: Path, tmp_path: Path) -> None:
    with engine_server(ScriptedFlash(words=())) as url:
        done = converse(home, "--text", "hello", "--out", str(tmp_path), "--engine", url, "--token", TOKEN)
    assert done.returncode == 3
    assert "The engine gave an empty answer." in done.stderr
    assert [turn["role"] for turn in read_json(tmp_path / "transcript.json")["turns"]] == ["user"]


def _engine_of(pid: int) -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                return int(stat.parent.name)
    raise AssertionError("there is no engine process")


def test_an_unknown_voice_is_named_with_those_that_there_are(home: Path, tmp_path: Path) -> None:
    with engine_server() as url:
        remote = ("--out", str(tmp_path), "--engine", url, "--token", TOKEN)
        done = converse(home, "--text", "hello", "--voice", "nobody", *remote)
    assert done.returncode == 2
    assert "no voice 'nobody'" in done.stderr
    assert "ethan, chelsie" in done.stderr


def test_a_voice_is_found_however_it_is_written(home: Path, tmp_path: Path) -> None:
    with engine_server() as url:
        remote = ("--out", str(tmp_path), "--engine", url, "--token", TOKEN)
        done = converse(home, "--text", "hello", "--voice", "Chelsie", *remote)
    assert done.returncode == 0, done.stderr


def test_an_unreadable_picture(home: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with engine_server() as url:
        remote = ("--engine", url, "--token", TOKEN)
        done = converse(
            home, "--text", "hello", "--watch", str(tmp_path / "broken.jpg"), "--out", str(tmp_path / "out"), *remote
        )
    assert done.returncode == 2
    assert "broken.jpg" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token(home: Path, tmp_path: Path, token: str) -> None:
    with engine_server() as url:
        done = converse(home, "--text", "hello", "--out", str(tmp_path), "--engine", url, "--token", token)
    assert done.returncode == 3
    assert "token" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_checkpoint_that_cannot_be_loaded(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    done = converse(home, "--text", "hello", "--out", str(tmp_path / "out"), "--checkpoint", str(broken))
    assert done.returncode == 3
    assert done.stderr.count("could not be loaded") == 1  # said once
    assert "The engine does not run" in done.stderr
    assert "Traceback" not in done.stderr
