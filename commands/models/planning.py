"""``main.py models plan | quantize``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from model.checkpoint.config import parse_config
from model.checkpoint.json_file import read_json
from model.checkpoint.place import checkpoint_folder
from model.device import known_free_bytes
from model.errors import ModelError
from model.memory import CACHE_BITS
from model.quant.advice import CARD, fit_plan
from model.quant.check import HOST
from model.quant.convert import Progress, quantize_checkpoint
from model.quant.packing import SUPPORTED_BITS
from model.quant.parts import default_policy
from model.quant.plan import Settings, make_plan, parse_bytes

EXIT_DOES_NOT_FIT = 3


def main(argv: list[str]) -> int:
    """Run a ``models`` command; returns the exit status. User errors are one line on standard error."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except OSError as error:
        where = error.filename or getattr(arguments, "target", "")
        sys.stderr.write(f"models {arguments.command}: {where}: {error.strerror or error}; look at the folder\n")
        return 1
    except (ModelError, ValueError) as error:
        sys.stderr.write(f"models {arguments.command}: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py models", description="Plan the memory of a model, or quantise it.")
    commands = parser.add_subparsers(dest="command", required=True)

    plan = commands.add_parser("plan", help="what each part takes on a card, and what would make it fit")
    plan.add_argument("--config", type=Path, required=True, help="config.json, or a checkpoint directory")
    plan.add_argument(
        "--card",
        default="24GB",
        help="memory of the card, e.g. 24GB; cpu: of this machine; cpu:32GB: of a PC",
    )
    plan.add_argument("--context", type=int, default=8192, help="positions of the caches")
    _storage_arguments(plan)
    plan.add_argument("--encoder-bits", type=int, choices=(8, 16), default=8)
    plan.add_argument("--cache-bits", type=int, choices=CACHE_BITS, default=16)
    plan.add_argument("--embedding-on-host", action="store_true", help="the Thinker's token table in host memory")
    plan.add_argument("--host-expert-layers", type=int, default=0, help="layers whose experts are in host memory")
    plan.add_argument("--exact", action="store_true", help="show these settings even when they do not fit")
    plan.add_argument("--json", action="store_true")
    plan.set_defaults(run=_plan)

    convert = commands.add_parser("quantize", help="store a checkpoint in int4 or int8; goes on where a run was killed")
    convert.add_argument("source", type=Path)
    convert.add_argument("target", type=Path)
    _storage_arguments(convert)
    convert.add_argument("--method", choices=("least_squares", "nearest"), default="least_squares")
    convert.add_argument("--shard-mb", type=int, default=512, help="size of an output file")
    convert.add_argument("--json", action="store_true", help="print the error table as JSON")
    convert.set_defaults(run=_quantize)
    return parser


def _storage_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bits", type=int, choices=SUPPORTED_BITS, default=4)
    parser.add_argument("--group", type=int, default=128, help="inputs that share a scale; 0: a whole row")
    parser.add_argument("--symmetric", action="store_true", help="store no zero points")


def _plan(arguments: argparse.Namespace) -> int:
    given: Path = arguments.config
    path = given if given.suffix == ".json" else checkpoint_folder(given) / "config.json"
    config = parse_config(read_json(path, "give the checkpoint's config.json"), str(path))
    if arguments.context < 1:
        raise ValueError(f"--context is {arguments.context}; it must be at least 1")
    settings = Settings(
        context=arguments.context,
        bits=arguments.bits,
        group=arguments.group,
        symmetric=arguments.symmetric,
        encoder_bits=arguments.encoder_bits,
        cache_bits=arguments.cache_bits,
        embedding_on_host=arguments.embedding_on_host,
        host_expert_layers=arguments.host_expert_layers,
    )
    kind, _, size = arguments.card.partition(":")
    if kind.lower() == "cpu":
        limit, where = parse_bytes(size) if size else _free_here(), HOST
        settings = replace(settings, embedding_on_host=False, host_expert_layers=0)  # there is but one memory
    else:
        limit, where = parse_bytes(arguments.card), CARD
    if arguments.exact:
        plan = make_plan(config, settings, limit, reserve_bytes=where.reserve_bytes)
    else:
        plan = fit_plan(config, settings, limit, device=where)
    sys.stdout.write((json.dumps(plan.to_json(), indent=2) if arguments.json else plan.table()) + "\n")
    return 0 if plan.fits else EXIT_DOES_NOT_FIT


def _free_here() -> int:
    free = known_free_bytes(torch.device("cpu"))
    if free is None:
        raise ValueError("this system does not say how much memory is free; name it, for example --card cpu:32GB")
    return free


def _quantize(arguments: argparse.Namespace) -> int:
    policy = default_policy(arguments.bits, arguments.group, arguments.symmetric)
    started_s = time.monotonic()
    torch.set_num_threads(1)

    def show(progress: Progress) -> None:
        share = progress.bytes_in / max(progress.bytes_in_total, 1)
        sys.stderr.write(
            f"\r{share:6.1%}  file {progress.n_shards_done} of {progress.n_shards}"
            f"  ({progress.resumed_shards} were there already)  {time.monotonic() - started_s:.0f} s"
        )
        sys.stderr.flush()

    errors = quantize_checkpoint(
        arguments.source,
        arguments.target,
        policy,
        method=arguments.method,
        shard_bytes=arguments.shard_mb * 2**20,
        n_threads=os.cpu_count() or 1,
        on_progress=show,
    )
    sys.stderr.write("\n")
    rows = {
        str(part): {"rms": e.root_mean_square, "worst": e.worst, "weights": e.n_weights} for part, e in errors.items()
    }
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    lines = [f"{'part':<32}{'weights':>14}{'error':>10}{'worst':>10}"]
    lines += [f"{name:<32}{row['weights']:>14,}{row['rms']:>10.4f}{row['worst']:>10.4f}" for name, row in rows.items()]
    n_bytes = sum(file.stat().st_size for file in arguments.target.glob("*.safetensors"))
    lines.append(f"{arguments.target}: {n_bytes / 10**9:.3f} GB of weights in {time.monotonic() - started_s:.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
