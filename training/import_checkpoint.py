"""Training states from an exported checkpoint, so that training goes on where a published one stopped.

    python -m training.import_checkpoint [--checkpoint DIR] [--runs DIR]

The reverse of `training.export`: writes `thinker.pt`, `talker/state.pt` and `code2wav/state.pt` with the checkpoint's
weights. Optimisers, averages and what a stage trains beside the published tensors (the Talker's auxiliary heads) are
not in a checkpoint and start anew.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from safetensors.torch import load_file

from training import config

Tensors = dict[str, torch.Tensor]
_EXPERT = re.compile(r"(.*\.experts\.)(\d+)\.(gate_proj|up_proj|down_proj)\.weight")
_STEP = re.compile(r"- (Thinker|Talker|Code2Wav): trained to step (\d+)")


def inner_names(prefix: str, tensors: Tensors) -> Tensors:
    """One part of a checkpoint under the names of the reference's module, experts stacked, in float32."""
    out: Tensors = {}
    experts: dict[str, dict[str, dict[int, torch.Tensor]]] = {}
    for name, value in tensors.items():
        if not name.startswith(prefix):
            continue
        name, value = name.removeprefix(prefix), value.float()
        if prefix == "thinker.":
            for outer, inner in (
                ("audio_tower.", "model.audio_tower."),
                ("visual.", "model.visual."),
                ("model.", "model.language_model."),
            ):
                if name.startswith(outer):
                    name = inner + name.removeprefix(outer)
                    break
        if found := _EXPERT.fullmatch(name):
            experts.setdefault(found[1], {}).setdefault(found[3], {})[int(found[2])] = value
        else:
            out[name] = value
    for base, parts in experts.items():
        gate, up, down = (
            torch.stack([parts[name][number] for number in sorted(parts[name])])
            for name in ("gate_proj", "up_proj", "down_proj")
        )
        out[base + "gate_up_proj"] = torch.cat((gate, up), 1)
        out[base + "down_proj"] = down
    return out


def steps_of(card: str) -> dict[str, int]:
    """How far each part was trained, as MODEL_CARD.md says; parts that it does not name are at 0."""
    return {"Thinker": 0, "Talker": 0, "Code2Wav": 0} | {name: int(step) for name, step in _STEP.findall(card)}


def import_checkpoint(checkpoint: Path, runs: Path) -> dict[str, int]:
    """Write the states; returns the step of each part."""
    tensors = load_file(checkpoint / "model.safetensors")
    card = checkpoint / "MODEL_CARD.md"
    steps = steps_of(card.read_text(encoding="utf-8") if card.exists() else "")
    talker = {"core." + name: value for name, value in inner_names("talker.", tensors).items()}
    for path, state in (
        ("thinker.pt", {"step": steps["Thinker"], "thinker": inner_names("thinker.", tensors)}),
        ("talker/state.pt", {"step": steps["Talker"], "model": talker}),
        ("code2wav/state.pt", {"step": steps["Code2Wav"], "model": inner_names("code2wav.", tensors)}),
    ):
        (runs / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, runs / path)
    return steps


def main() -> None:
    """Import."""
    parser = argparse.ArgumentParser(description="Write training states with the weights of an exported checkpoint.")
    parser.add_argument("--checkpoint", type=Path, default=Path("assets/flash-mini"))
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    options = parser.parse_args()
    if (options.runs / "thinker.pt").exists():
        parser.error(f"{options.runs / 'thinker.pt'} is there already; move it away or name other --runs")
    for name, step in import_checkpoint(options.checkpoint, options.runs).items():
        print(f"{name}: step {step}")


if __name__ == "__main__":
    main()
