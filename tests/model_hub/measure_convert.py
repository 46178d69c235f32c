"""Peak memory and disk of converting a large checkpoint as it comes: `python -m tests.model_hub.measure_convert DIR`.

Writes a random checkpoint of at least `--gb` into DIR, serves it on loopback, gets it with `models get --bits 4`, and
prints the child's peak resident memory and the most that the disk held beside the result.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

from model.bench.random_checkpoint import random_tensor, write_random_checkpoint
from model.bench.random_config import make_tokenizer, mid_config
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import count_parameters, expected_tensors
from tests.model_hub.hub_server import serve_hub

ROOT = Path(__file__).resolve().parents[2]
SHARD_BYTES = 500 * 2**20


def write_large(folder: Path, n_bytes: int) -> int:
    """A checkpoint whose Thinker has as many experts as it takes, and the published vocabulary's widths; its bytes."""
    tokenizer = make_tokenizer()
    config = mid_config(tokenizer, dtype="bfloat16")
    write_random_checkpoint(folder, config, tokenizer)
    (folder / "model.safetensors").unlink()
    text = config["thinker_config"]["text_config"]
    text["moe_intermediate_size"], text["num_experts"] = 768, 8
    text["vocab_size"] = 151_936 * 2048 // text["hidden_size"] // 2  # one matrix of 311 MB
    while 2 * count_parameters(expected_tensors(parse_config(config))) < n_bytes:
        text["num_experts"] *= 2
    (folder / "config.json").write_text(json.dumps(config))
    shapes = expected_tensors(parse_config(config))
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1 << 22, generator=generator).mul(0.02).to(torch.bfloat16)
    shards: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        if filled and filled + size > SHARD_BYTES:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    weight_map: dict[str, str] = {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        tensors = {}
        for name in names:
            count = torch.Size(shapes[name]).numel()
            if count < 1 << 16:
                tensors[name] = random_tensor(name, shapes[name], generator).to(torch.bfloat16)
            else:
                tensors[name] = noise.repeat(-(-count // len(noise)))[:count].view(shapes[name])
            weight_map[name] = file
        save_file(tensors, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _high_water_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gb", type=float, default=2.0)
    options = parser.parse_args()
    source, models = options.folder / "source", options.folder / "models"
    if not (source / "model.safetensors.index.json").exists():
        write_large(source, int(options.gb * 1e9))
    n_bytes = sum(path.stat().st_size for path in source.glob("*.safetensors"))
    largest = max(path.stat().st_size for path in source.glob("*.safetensors"))
    result = models / ".getting" / "big--random-int4" / "result"
    most_beside, peak, ending = 0, 0, threading.Event()
    children: list[subprocess.Popen[bytes]] = []

    def watch() -> None:
        nonlocal most_beside, peak
        while not ending.wait(0.1):
            for child in children:  # the child's own high-water mark; what getrusage says includes its parent's pages
                peak = max(peak, _high_water_bytes(child.pid))
            kept = models / ".getting" / "big--random-int4" / "source"
            try:
                most_beside = max(most_beside, sum(path.stat().st_size for path in kept.glob("*.safetensors*")))
            except OSError:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    started_s = time.monotonic()
    with serve_hub(source, "big/random") as hub:
        for path in hub.files():  # the listing gives the checksums at once
            hub.sha256(path)
        command = [sys.executable, "main.py", "models", "get", f"hf+{hub.url}/big/random", "--bits", "4"]
        child = subprocess.Popen([*command, "--folder", models], cwd=ROOT)
        children.append(child)
        if child.wait() != 0:
            raise SystemExit("the download failed")
        fetched = hub.n_bytes_sent
    ending.set()
    watcher.join()
    made = sum(path.stat().st_size for path in (models / "big--random-int4").iterdir())
    print(f"weights {n_bytes / 1e9:.2f} GB in files of at most {largest / 1e9:.2f} GB; fetched {fetched / 1e9:.2f} GB")
    print(f"result {made / 1e9:.2f} GB in {time.monotonic() - started_s:.0f} s; {result.parent.exists()=}")
    print(f"peak resident memory {peak / 1e9:.2f} GB; most beside the result {most_beside / 1e9:.2f} GB")
    shutil.rmtree(options.folder)


if __name__ == "__main__":
    main()
