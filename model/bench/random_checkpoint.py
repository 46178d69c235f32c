"""Writes random checkpoints in the published format, for tests and benchmarks.

    python -m model.bench.random_checkpoint DIR

A random checkpoint has the published file names, tensor names and dtypes, so that the reference implementation loads
it as it loads the real one. Weights are scaled so that activations stay of order one through all layers and greedy
choices are clear.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from model.bench.random_config import CHAT_TEMPLATE, Json, make_tokenizer, mid_config, processor_files, random_config
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import expected_tensors
from model.prompts import HOLD_TOKEN

SIZES = ("tiny", "mid")


def write_random_checkpoint(
    directory: Path | str,
    config: Json,
    tokenizer: Tokenizer,
    *,
    seed: int = 0,
    n_shards: int = 1,
    ends_turns: bool = False,
) -> Path:
    """Writes a random checkpoint for `config` into `directory` (made if missing) and returns its path.

    `n_shards` > 1 splits it over several files with an index, as the published one is. The config's `dtype` is the
    dtype of the tensors. Without `ends_turns` the model never chooses the end of its turn, so that replies are as long
    as their limit (the reference cannot speak an empty reply at all).
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    shapes = expected_tensors(parse_config(config))
    dtype = getattr(torch, str(config["dtype"]))
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: random_tensor(name, shape, generator).to(dtype) for name, shape in shapes.items()}
    if not ends_turns:
        tensors["thinker.lm_head.weight"][int(config["im_end_token_id"])] = 0.0
    names = list(tensors)
    step = -(-len(names) // n_shards)
    weight_map: dict[str, str] = {}
    for shard in range(n_shards):
        part = names[shard * step : (shard + 1) * step]
        file = "model.safetensors" if n_shards == 1 else f"model-{shard + 1:05}-of-{n_shards:05}.safetensors"
        save_file({name: tensors[name] for name in part}, directory / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    if n_shards > 1:
        size = sum(tensor.nbytes for tensor in tensors.values())
        _write_json(
            directory / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": weight_map}
        )
    _write_json(directory / "config.json", config)
    hold = tokenizer.token_to_id(HOLD_TOKEN) is not None
    for file, content in processor_files(hold=hold).items():
        _write_json(directory / file, content)
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    tokenizer.save(str(directory / "tokenizer.json"))
    return directory


def random_tensor(name: str, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    """A random tensor whose scale suits its role in the network."""
    noise: torch.Tensor = torch.randn(tuple(shape), generator=generator, device=generator.device)
    if name.endswith((".alpha", ".beta")):  # Snake's, kept as logarithms
        return noise * 0.1
    if name.endswith((".scale", ".gamma")):
        return 0.5 + noise * 0.1
    if name.endswith(".bias"):
        return noise * 0.05
    if len(shape) == 1:  # norms
        return 1.0 + noise * 0.1
    if "embed" in name and "patch_embed" not in name:
        return noise * 0.7
    fan_in = 1
    for size in shape[1:]:
        fan_in *= size
    if "upsample" in name or ".block.1.conv" in name:
        fan_in = shape[0]  # transposed convolutions: [in, out, kernel]
    if "dwconv" in name:
        fan_in = shape[-1]
    gain = 0.5 if ".block.1.conv" in name else 1.0
    if name.endswith(("lm_head.weight", "codec_head.weight", "mlp.gate.weight")):
        gain = 3.0
    elif name.endswith(".conv2.conv.weight"):  # residual branches of the decoder
        gain = 0.4
    elif tuple(shape)[::2] == (1, 7):  # the decoder's last convolution: keep samples inside -1..1
        gain = 0.1
    scaled: torch.Tensor = noise * (gain / max(fan_in, 1) ** 0.5)
    return scaled


def write_sized(directory: Path | str, size: str, *, seed: int = 0, dtype: str = "float32", hold: bool = False) -> Path:
    """Writes a random checkpoint of a named size ("tiny" or "mid")."""
    tokenizer = make_tokenizer(hold=hold)
    if size not in SIZES:
        raise ValueError(f"size is {size!r}, expected one of {SIZES}")
    config = mid_config(tokenizer, dtype=dtype) if size == "mid" else random_config(tokenizer, dtype=dtype)
    return write_random_checkpoint(directory, config, tokenizer, seed=seed)


def _write_json(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m model.bench.random_checkpoint", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--hold", action="store_true", help="with the hold token of time-aligned text")
    options = parser.parse_args(argv)
    write_sized(options.directory, options.size, seed=options.seed, dtype=options.dtype, hold=options.hold)
    sys.stdout.write(f"{options.directory}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
