"""A disk that is really full: a small tmpfs, then a larger one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import make_tokenizer, random_config
from model.quant.parts import default_policy
from model.quant.shardwise import ShardQuantizer
from model_hub.store import ModelStore
from tests.model_hub.conftest import WANTED, write_repository
from tests.model_hub.hub_server import serve_hub

ROOT = Path(__file__).resolve().parents[2]
GET = """
import sys
from pathlib import Path
from model_hub import download
from model_hub.errors import DiskFullError
from model_hub.sources import parse_address
from model_hub.store import ModelStore
if sys.argv[3] == "unchecked":
    download.check_room = lambda *_: None  # the disk fills up after it was looked at
try:
    bits = int(sys.argv[4]) if sys.argv[4:] else None
    if bits:
        from commands.models.conversion import ShardConversion
    getter = download.Getter(ModelStore(Path(sys.argv[2])), wait=lambda _s: None)
    print(getter.get(parse_address(sys.argv[1]), bits=bits, converter=ShardConversion(bits) if bits else None))
except DiskFullError as error:
    print(error)
    raise SystemExit(6)
"""


def _mounts() -> list[str] | None:
    """A command prefix that gives a program mounts of its own, where this system allows that."""
    for prefix in (["unshare", "-m"], ["unshare", "-rm"]):
        if shutil.which("unshare") and subprocess.run(
            [*prefix, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, timeout=20, check=False
        ).returncode == 0:  # fmt: skip
            return prefix
    return None


@pytest.mark.skipif(_mounts() is None, reason="this system lets nobody mount a tmpfs")
def test_a_full_disk_is_named_and_the_download_goes_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "get.py"
    script.write_text(GET)
    prefix = _mounts()
    assert prefix is not None
    with serve_hub(write_repository(tmp_path / "repository")) as hub:
        get = f"{sys.executable} {script} hf+{hub.url}/{hub.repository} {disk}/models"
        steps = f"""
            set -e
            mount -t tmpfs -o size=1m none {disk}
            {get} checked && exit 1 || test $? = 6
            ls {disk}/models
            {get} unchecked && exit 1 || test $? = 6
            du -sb {disk}/models/.getting/tiny--flash/source >&2
            mount -o remount,size=100m {disk}
            {get} checked
            cp -r {disk}/models/tiny--flash {tmp_path}/got
        """
        done = subprocess.run(
            [*prefix, "sh", "-c", steps],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert "are free. Free some room" in lines[0]
        assert "is full. What has come is kept" in lines[-2]
        kept = int(done.stderr.split()[0])
        assert kept > 700_000
        total = sum((hub.folder / name).stat().st_size for name in WANTED)
        assert hub.n_bytes_sent - total <= 2 * 1024 * 1024  # what was on its way when the disk was full
        for name in WANTED:
            assert (tmp_path / "got" / name).read_bytes() == (hub.folder / name).read_bytes()
        assert ModelStore(tmp_path).record("got") is not None


@pytest.mark.slow
@pytest.mark.skipif(_mounts() is None, reason="this system lets nobody mount a tmpfs")
def test_a_disk_that_fills_up_during_a_conversion(tmp_path: Path) -> None:
    """A result does not fit beside its source, and nothing of it looks whole; with more room it goes on."""
    disk, source = tmp_path / "disk", tmp_path / "repository"
    disk.mkdir()
    source.mkdir()
    script = tmp_path / "get.py"
    script.write_text(GET)
    prefix = _mounts()
    assert prefix is not None
    tokenizer = make_tokenizer()
    write_random_checkpoint(source, random_config(tokenizer), tokenizer, n_shards=2)
    whole = tmp_path / "whole"
    whole.mkdir()
    quantizer = ShardQuantizer(source, whole, default_policy(8, 128))
    names = sorted(path.name for path in source.glob("*.safetensors"))
    for name in names:
        quantizer.convert(source / name)
    small = sum(path.stat().st_size for path in source.iterdir() if path.suffix != ".safetensors")
    sources = [(source / name).stat().st_size for name in names]
    results = [(whole / name).stat().st_size for name in names]
    size = small + sources[0] + results[0] // 2
    with serve_hub(source) as hub:
        get = f"{sys.executable} {script} hf+{hub.url}/{hub.repository} {disk}/models"
        steps = f"""
            set -e
            mount -t tmpfs -o size={size // 1024}k none {disk}
            {get} unchecked 8 && exit 1 || test $? = 6
            ls {disk}/models/.getting/tiny--flash-int8/result
            test ! -e {disk}/models/tiny--flash-int8
            mount -o remount,size=100m {disk}
            {get} checked 8
            cp -r {disk}/models/tiny--flash-int8 {tmp_path}/got
        """
        done = subprocess.run(
            [*prefix, "sh", "-c", steps],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "is full. What has come is kept" in done.stdout.splitlines()[0]
        assert [line for line in done.stdout.splitlines() if line.endswith(".safetensors")] == []
        assert hub.n_bytes_sent == small + sum(sources)  # nothing came twice
    for name in names:
        assert (tmp_path / "got" / name).read_bytes() == (whole / name).read_bytes()
