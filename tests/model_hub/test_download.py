"""A download through everything that can happen to it, with what was fetched counted by the server."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_hub.download import Getter
from model_hub.errors import AccessError, BusyError, DiskFullError, NetworkError, NotFoundError, WrongContentsError
from model_hub.files import SUMS_FILE
from model_hub.http import CHUNK_BYTES, Web
from model_hub.progress import Progress
from model_hub.sources import Address, parse_address
from model_hub.store import ModelStore
from tests.model_hub.conftest import N_SHARDS, SHARD_BYTES, WANTED, write_repository
from tests.model_hub.hub_server import Fault, Hub, serve_hub

ROOT = Path(__file__).resolve().parents[2]
SHARD = "model-00003-of-00007.safetensors"


def address_of(hub: Hub, prefix: str = "hf+") -> Address:
    return parse_address(f"{prefix}{hub.url}/{hub.repository}")


def getter_for(folder: Path, seen: list[Progress] | None = None) -> Getter:
    web = Web(connect_timeout_s=5, stall_timeout_s=0.3)
    return Getter(ModelStore(folder), web, report=(seen if seen is not None else []).append, wait=lambda _s: None)


def check_whole(path: Path, hub: Hub) -> None:
    got = {file.name: file.read_bytes() for file in path.iterdir() if file.name != "sightline-model.json"}
    assert set(got) == WANTED
    for name, data in got.items():
        assert data == (hub.folder / name).read_bytes(), name


def wanted_bytes(hub: Hub) -> int:
    return sum((hub.folder / name).stat().st_size for name in WANTED)


@pytest.mark.parametrize("prefix", ["hf+", "ms+"])
def test_a_model_arrives_once(hub: Hub, tmp_path: Path, prefix: str) -> None:
    seen: list[Progress] = []
    getter = getter_for(tmp_path / "models", seen)
    path = getter.get(address_of(hub, prefix))
    check_whole(path, hub)
    assert hub.n_bytes_sent == wanted_bytes(hub)
    assert (seen[-1].phase, seen[-1].percent, seen[-1].fetched_bytes) == ("done", 100, wanted_bytes(hub))
    assert [p.done_bytes for p in seen] == sorted(p.done_bytes for p in seen)
    assert [record.name for record in getter.store.models()] == ["tiny--flash"]
    assert not list((tmp_path / "models" / ".getting").glob("[!.]*"))
    hub.forget_counts()
    assert getter.get(address_of(hub, prefix)) == path
    assert hub.n_bytes_sent == 0  # a finished, verified file is never fetched twice


def test_a_web_folder_with_checksums_is_a_mirror(hub: Hub, tmp_path: Path) -> None:
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in hub.files()]
    (hub.folder / SUMS_FILE).write_text("\n".join(sums) + "\n")
    path = getter_for(tmp_path / "models").get(parse_address(f"{hub.url}/plain/{hub.repository}"))
    check_whole(path, hub)


def test_a_web_folder_without_checksums_is_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=SUMS_FILE):
        getter_for(tmp_path / "models").get(parse_address(f"{hub.url}/plain/{hub.repository}"))


def test_a_folder_of_this_machine(hub: Hub, tmp_path: Path) -> None:
    check_whole(getter_for(tmp_path / "models").get(parse_address(str(hub.folder))), hub)


def test_a_token_goes_to_the_hub_and_not_to_where_it_redirects(hub: Hub, tmp_path: Path) -> None:
    hub.token = "secret"
    getter = getter_for(tmp_path / "models")
    with pytest.raises(AccessError):
        getter.get(address_of(hub))
    getter.tokens = {"https://huggingface.co": "secret"}
    with pytest.raises(AccessError):
        getter.get(address_of(hub))  # a mirror is not given what is for another place
    getter.tokens = {hub.url: "secret"}
    check_whole(getter.get(address_of(hub)), hub)
    assert hub.leaked == 0


# ---- one file goes wrong --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "more_bytes"),
    [
        (Fault("corrupt", times=1, at=200_000), SHARD_BYTES),  # this file again, and only this one
        (Fault("corrupt", times=2, at=0), 2 * SHARD_BYTES),
        (Fault("cut", times=3, at=100_000), 0),  # goes on where it was cut
        (Fault("stall", times=2, at=120_000), 0),
        (Fault("short", times=1, at=150_000), 0),  # noticed by its length, before it is taken for whole
        (Fault("error", times=3), 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_one_broken_file_is_fetched_again_alone(hub: Hub, tmp_path: Path, fault: Fault, more_bytes: int) -> None:
    hub.faults[SHARD] = fault
    seen: list[Progress] = []
    path = getter_for(tmp_path / "models", seen).get(address_of(hub))
    check_whole(path, hub)
    others = wanted_bytes(hub) - SHARD_BYTES
    assert hub.n_bytes_sent - hub.sent[SHARD] == others
    # A "short" answer is turned down by its length while the server may be sending it.
    assert 0 <= hub.sent[SHARD] - SHARD_BYTES - more_bytes <= (150_000 if fault.kind == "short" else 0)
    assert any(SHARD in progress.note for progress in seen)
    assert seen[-1].done_bytes == wanted_bytes(hub)


def test_a_wrong_checksum_for_ever_ends_with_the_reason_and_keeps_the_rest(hub: Hub, tmp_path: Path) -> None:
    hub.faults[SHARD] = Fault("corrupt", at=1000)
    getter = getter_for(tmp_path / "models")
    with pytest.raises(WrongContentsError, match=rf"{SHARD} arrived 3 times with another checksum") as caught:
        getter.get(address_of(hub))
    assert "other files are kept" in caught.value.remedy
    assert hub.sent[SHARD] == 3 * SHARD_BYTES
    assert getter.store.models() == ()  # nothing half-finished looks usable
    assert not getter.store.path("tiny--flash").exists()
    kept = {name for name in WANTED if hub.sent[name] and name != SHARD}
    hub.faults.clear()
    hub.forget_counts()
    check_whole(getter.get(address_of(hub)), hub)
    assert not kept & set(hub.sent)
    assert hub.sent[SHARD] == SHARD_BYTES


def test_a_file_of_another_size_for_ever(hub: Hub, tmp_path: Path) -> None:
    hub.faults[SHARD] = Fault("short", at=1000)
    with pytest.raises(WrongContentsError, match=f"{SHARD} has 1000 bytes there; {SHARD_BYTES} were published"):
        getter_for(tmp_path / "models").get(address_of(hub))


@pytest.mark.slow
def test_a_server_that_stalls_for_ever(hub: Hub, tmp_path: Path) -> None:
    hub.faults[SHARD] = Fault("stall", at=0)
    waits: list[float] = []
    getter = getter_for(tmp_path / "models")
    getter.wait = waits.append
    with pytest.raises(NetworkError, match="nothing came for a while") as caught:
        getter.get(address_of(hub))
    assert "goes on from there" in caught.value.remedy
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0]
    hub.faults.clear()
    check_whole(getter.get(address_of(hub)), hub)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="does not answer"):
        getter_for(tmp_path).get(parse_address("hf+http://127.0.0.1:9/tiny/flash"))


# ---- revisions ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_download_that_goes_on_stays_with_its_revision(hub: Hub, tmp_path: Path) -> None:
    """The publisher moves the branch between two runs: what is being got does not change under it."""
    getter = getter_for(tmp_path / "models")
    hub.faults[SHARD] = Fault("stall", at=0)
    with pytest.raises(NetworkError):
        getter.get(address_of(hub))
    hub.faults.clear()
    before, hub.commit = hub.commit, "f" * 40
    with pytest.raises(NotFoundError):  # this hub has dropped the old revision
        getter.get(address_of(hub))
    hub.commit = before
    path = getter.get(address_of(hub))
    assert json.loads((path / "sightline-model.json").read_text())["revision"] == before


def test_a_new_revision_replaces_the_old_one_when_it_is_whole(hub: Hub, tmp_path: Path) -> None:
    getter = getter_for(tmp_path / "models")
    getter.get(address_of(hub))
    hub.commit = "e" * 40
    (hub.folder / SHARD).write_bytes(b"new" * 100_000)
    check_whole(getter.get(address_of(hub)), hub)
    record = getter.store.record("tiny--flash")
    assert record is not None
    assert record.revision == hub.commit


# ---- the disk -------------------------------------------------------------------------------------------------------


def test_the_disk_is_looked_at_before_the_weights_come(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_hub import store

    class Usage:
        free = 10_000_000

    monkeypatch.setattr(store.shutil, "disk_usage", lambda _path: Usage)
    with pytest.raises(DiskFullError, match=r"needs 0\.1 GB more .* 0\.0 GB are free"):
        getter_for(tmp_path / "models").get(address_of(hub))
    assert SHARD not in hub.requests


def test_two_at_once_are_one(hub: Hub, tmp_path: Path) -> None:
    getter = getter_for(tmp_path / "models")
    with getter.store.lock("tiny--flash"), pytest.raises(BusyError, match="another process"):
        getter.get(address_of(hub))


# ---- killed ---------------------------------------------------------------------------------------------------------

CHILD = """
import sys
from model_hub.download import Getter
from model_hub.http import Web
from model_hub.sources import parse_address
from model_hub.store import ModelStore
from pathlib import Path
print(Getter(ModelStore(Path(sys.argv[2])), Web(stall_timeout_s=60)).get(parse_address(sys.argv[1])))
"""
N_KILLS = 20


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["hf+", "ms+"])
def test_killed_at_20_random_points_and_resumed(tmp_path: Path, prefix: str) -> None:
    """Each kill comes when the server has sent a random number of bytes; nothing that was verified comes again."""
    chance = random.Random(20)
    with serve_hub(write_repository(tmp_path / "repository", 600_000)) as hub:
        total = wanted_bytes(hub)
        points = sorted(chance.randrange(total) for _ in range(N_KILLS))
        command = [sys.executable, "-c", CHILD, f"{prefix}{hub.url}/{hub.repository}", str(tmp_path / "models")]
        finished: set[str] = set()
        getting = tmp_path / "models" / ".getting" / "tiny--flash" / "source"
        lost = 0
        for point in points:
            before = hub.n_bytes_sent
            stop_at = max(before, point + lost)
            reached, go = threading.Event(), threading.Event()

            def gate(
                sent: int,
                _file: str,
                stop_at: int = stop_at,
                reached: threading.Event = reached,
                go: threading.Event = go,
            ) -> None:
                if sent >= stop_at:
                    reached.set()
                    go.wait()

            hub.gate = gate
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                assert reached.wait(60), process.stderr.read() if process.stderr and process.poll() is not None else ""
                process.send_signal(signal.SIGKILL)
                process.communicate(timeout=30)
            finally:
                hub.gate = lambda _total, _file: None
                go.set()
            now = (
                {file.name for file in getting.iterdir() if not file.name.endswith(".part")}
                if getting.exists()
                else set()
            )
            assert finished <= now
            finished = now
            there = sum(file.stat().st_size for file in getting.iterdir()) if getting.exists() else 0
            lost = hub.n_bytes_sent - there
            assert not (tmp_path / "models" / "tiny--flash").exists()  # nothing half-finished looks usable
        asked_before = dict(hub.requests)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
        check_whole(Path(done.stdout.strip()), hub)
        assert all(hub.requests[name] == asked_before[name] for name in finished)
        # A kill loses what was on its way: what the system had received and we had not written.
        assert hub.n_bytes_sent - total <= N_KILLS * (CHUNK_BYTES + 64 * 1024)
        assert len(finished) > N_SHARDS // 2
