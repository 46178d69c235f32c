"""Converting while it comes: the same result as `quantize_checkpoint`, little disk, and any end is a pause."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from commands.models.conversion import ShardConversion, check_small_files
from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import make_tokenizer, random_config
from model.errors import CheckpointError
from model.flash import load
from model.quant import writing
from model.quant.convert import quantize_checkpoint
from model.quant.parts import default_policy
from model.quant.shardwise import ShardQuantizer
from model_hub.download import Getter
from model_hub.errors import UnsuitableError
from model_hub.http import Web
from model_hub.progress import Progress
from model_hub.sources import parse_address
from model_hub.store import ModelStore
from tests.model.checkpoint.test_layouts import Tensors, fuse_experts, nested, without_voice
from tests.model_hub.hub_server import Hub, serve_hub

ROOT = Path(__file__).resolve().parents[2]
N_SHARDS = 7


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = make_tokenizer()
    return write_random_checkpoint(
        tmp_path_factory.mktemp("tiny"), random_config(tokenizer), tokenizer, n_shards=N_SHARDS
    )


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[Hub]:
    with serve_hub(checkpoint) as served:
        yield served


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for file in folder.glob("*.safetensors"):
        found |= load_file(file)
    return found


def convert_files(source: Path, target: Path, names: Iterable[str] | None = None) -> Path:
    """What a download does with `names` of the files (default: all)."""
    target.mkdir()
    quantizer = ShardQuantizer(source, target, default_policy(4, 32), n_threads=2)
    for name in sorted(path.name for path in source.glob("*.safetensors")) if names is None else names:
        quantizer.convert(source / name)
    quantizer.finish()
    return target


def getter_for(folder: Path) -> Getter:
    return Getter(ModelStore(folder), Web(stall_timeout_s=5), wait=lambda _s: None)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [4, 8])
def test_the_result_is_that_of_the_whole_conversion(hub: Hub, checkpoint: Path, tmp_path: Path, bits: int) -> None:
    path = getter_for(tmp_path / "models").get(
        parse_address(f"hf+{hub.url}/{hub.repository}"), bits=bits, converter=ShardConversion(bits)
    )
    assert path.name == f"tiny--flash-int{bits}"
    quantize_checkpoint(checkpoint, tmp_path / "whole", default_policy(bits, 128))
    ours, whole = tensors_of(path), tensors_of(tmp_path / "whole")
    assert ours.keys() == whole.keys()
    assert all(torch.equal(ours[name], whole[name]) for name in whole)
    assert load(path, device="cpu").voices


def test_large_matrices_are_converted_in_blocks(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows do not know of each other, so blocks of any size give the same words, scales and zero points."""
    results = []
    for elements in (1, 1 << 30):
        monkeypatch.setattr(writing, "BLOCK_ELEMENTS", elements)
        results.append(tensors_of(convert_files(checkpoint, tmp_path / str(elements))))
    first, second = results
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def in_two_files(checkpoint: Path, folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """The checkpoint with other tensors, in two files with an index."""
    shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    tensors = change(tensors_of(checkpoint))
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for number in (1, 2):
        file = f"model-{number:05}-of-00002.safetensors"
        mine = names[number - 1 :: 2]
        save_file({name: tensors[name].contiguous() for name in mine}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(mine, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.mark.parametrize(
    ("change", "left_out"),
    [(fuse_experts, ()), (lambda t: nested(fuse_experts(t)), ()), (without_voice, ("talker.", "code2wav."))],
    ids=["fused experts", "fused experts, all inside model", "talker stripped"],
)
def test_other_layouts_become_what_the_published_one_becomes(
    checkpoint: Path, tmp_path: Path, change: Callable[[Tensors], Tensors], left_out: tuple[str, ...]
) -> None:
    """From a folder, and file by file as a download does it."""
    quantize_checkpoint(checkpoint, tmp_path / "published", default_policy(4, 32))
    expected = {n: t for n, t in tensors_of(tmp_path / "published").items() if not n.startswith(left_out or "?")}
    source = in_two_files(checkpoint, tmp_path / "source", change)
    quantize_checkpoint(source, tmp_path / "folder", default_policy(4, 32))
    for path in (tmp_path / "folder", convert_files(source, tmp_path / "files")):
        found = tensors_of(path)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert bool(load(path, device="cpu").voices) == (not left_out)


def test_the_thinker_alone_becomes_text_only(checkpoint: Path, tmp_path: Path) -> None:
    source = in_two_files(
        checkpoint, tmp_path / "source", lambda t: {n.removeprefix("thinker."): x for n, x in without_voice(t).items()}
    )
    config = json.loads((source / "config.json").read_text())["thinker_config"]
    (source / "config.json").write_text(json.dumps(config | {"model_type": "qwen3_omni_moe_thinker"}))
    quantize_checkpoint(source, tmp_path / "folder", default_policy(4, 32))
    for path in (tmp_path / "folder", convert_files(source, tmp_path / "files")):
        assert not load(path, device="cpu").voices


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: {n: x for n, x in t.items() if "layers.1.self_attn.q_proj" not in n}, "lacks .* 'thinker"),
        (lambda t: {n: x for n, x in t.items() if not n.startswith("code2wav.")}, "lacks .* first 'code2wav"),
        (lambda t: t | {"thinker.model.layers.0.self_attn.q_proj.weight_packed": torch.zeros(2)}, "quantised already"),
    ],
    ids=["a tensor that nothing holds", "half a talker", "quantised, but nothing says so"],
)
def test_what_cannot_be_whole_is_refused_by_the_index_before_the_weights_come(
    checkpoint: Path, tmp_path: Path, change: Callable[[Tensors], Tensors], reason: str
) -> None:
    source = in_two_files(checkpoint, tmp_path / "source", change)
    for file in source.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(CheckpointError, match=reason):
        ShardQuantizer(source, tmp_path, default_policy(4, 32))


def test_a_tensor_in_two_files_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    source = in_two_files(checkpoint, tmp_path / "source", lambda tensors: tensors)
    shutil.copyfile(source / "model-00001-of-00002.safetensors", source / "model-00003-of-00002.safetensors")
    with pytest.raises(CheckpointError, match="and again in"):
        convert_files(source, tmp_path / "files")


def test_the_disk_holds_the_result_and_one_source_file(hub: Hub, checkpoint: Path, tmp_path: Path) -> None:
    largest = max(file.stat().st_size for file in checkpoint.glob("*.safetensors"))
    getting = tmp_path / "models" / ".getting" / "tiny--flash-int4"
    peak = 0

    def look(progress: Progress) -> None:
        nonlocal peak
        weights = [file for file in (getting / "source").glob("*.safetensors*") if not file.name.endswith(".json")]
        peak = max(peak, sum(file.stat().st_size for file in weights))

    getter = getter_for(tmp_path / "models")
    getter.report = look
    path = getter.get(parse_address(f"hf+{hub.url}/{hub.repository}"), bits=4, converter=ShardConversion(4))
    assert 0 < peak <= largest
    assert not list(path.glob("source*"))


@pytest.mark.slow
def test_killed_while_it_comes_and_while_it_is_converted(hub: Hub, checkpoint: Path, tmp_path: Path) -> None:
    """Six kills: three when a random number of bytes has been sent, three in the middle of a conversion."""
    chance = random.Random(4)
    total = sum(file.stat().st_size for file in checkpoint.iterdir())
    models = tmp_path / "models"
    command = [sys.executable, str(ROOT / "main.py"), "models", "get", f"hf+{hub.url}/{hub.repository}"]
    command += ["--bits", "4", "--folder", str(models), "--json"]
    environment = dict(os.environ) | {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    for point in sorted(chance.randrange(total) for _ in range(3)):
        reached, go = threading.Event(), threading.Event()

        def gate(
            sent: int, _file: str, point: int = point, reached: threading.Event = reached, go: threading.Event = go
        ) -> None:
            if sent >= point:
                reached.set()
                go.wait()

        hub.gate = gate
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            assert reached.wait(60)
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        finally:
            hub.gate = lambda _total, _file: None
            go.set()
    result = models / ".getting" / "tiny--flash-int4" / "result"
    for _ in range(3):  # ends itself, as hard as kill -9, before a finished shard gets its name
        done_before = len(list(result.glob("*.safetensors")))
        dying = (
            "import os, sys; from model.quant import writing; writing.os.fsync = lambda _f: os._exit(9);"
            "sys.path.insert(0, '.'); import main; main.main(sys.argv[1:])"
        )
        died = subprocess.run(
            [sys.executable, "-c", dying, *command[2:]], cwd=ROOT, env=environment, timeout=60, check=False
        )
        assert died.returncode == 9
        assert len(list(result.glob("*.safetensors"))) == done_before
        assert not (models / "tiny--flash-int4").exists()
    subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, timeout=120, check=True)
    quantize_checkpoint(checkpoint, tmp_path / "whole", default_policy(4, 128))
    ours, whole = tensors_of(models / "tiny--flash-int4"), tensors_of(tmp_path / "whole")
    assert ours.keys() == whole.keys()
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_a_model_of_another_kind_is_refused_before_its_weights_come(hub: Hub, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    (other / "model.safetensors").write_bytes(b"0" * 100_000)
    with serve_hub(other) as served:
        getter = getter_for(tmp_path / "models")
        getter.inspect = check_small_files
        with pytest.raises(UnsuitableError, match="llama"):
            getter.get(parse_address(f"hf+{served.url}/{served.repository}"), bits=4, converter=ShardConversion(4))
        assert served.sent["model.safetensors"] == 0


def test_a_model_that_is_quantised_already_is_refused_before_its_weights_come(checkpoint: Path, tmp_path: Path) -> None:
    quantize_checkpoint(checkpoint, tmp_path / "packed", default_policy(4, 128))
    with serve_hub(tmp_path / "packed") as served:
        getter = getter_for(tmp_path / "models")
        getter.inspect = check_small_files
        address = parse_address(f"hf+{served.url}/{served.repository}")
        with pytest.raises(UnsuitableError, match="quantised already; get it as it is: --bits none"):
            getter.get(address, bits=4, converter=ShardConversion(4))
        assert not any(name.endswith(".safetensors") for name in served.sent)
        assert load(getter.get(address), device="cpu").voices
