"""Puts both trained halves together as a checkpoint directory in the published format.

    python -m training.export [--runs DIR] [--out DIR] [--allow-untrained]

The Thinker with its encoders comes from `thinker.pt` (`training.train_thinker`), the voice from `talker/state.pt` and
`code2wav/state.pt`. Names and shapes are checked against `model.checkpoint.tensors`, so a directory that this stage has
written is complete. A half that was not trained is refused, unless --allow-untrained puts random weights there (for
trying the format; the model card then says so).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from model.bench.random_config import CHAT_TEMPLATE, processor_files
from model.checkpoint.config import parse_config
from model.checkpoint.tensors import expected_tensors
from training import config, text

Tensors = dict[str, torch.Tensor]
_EXPERTS = ".experts.gate_up_proj"
_EXPERTS_DOWN = ".experts.down_proj"


def published(prefix: str, state: Tensors) -> Tensors:
    """A module's state with published names: experts one by one, the reference's inner `model.` layers undone."""
    out: Tensors = {}
    for name, value in state.items():
        for inner, outer in (
            ("model.audio_tower.", "audio_tower."),
            ("model.visual.", "visual."),
            ("model.language_model.", "model."),
        ):
            if prefix == "thinker." and name.startswith(inner):
                name = outer + name.removeprefix(inner)
                break
        if name.endswith(_EXPERTS):
            base = prefix + name.removesuffix("gate_up_proj")
            for number, both in enumerate(value):  # [2 * intermediate, hidden]
                gate, up = both.chunk(2)
                out[f"{base}{number}.gate_proj.weight"] = gate.clone()
                out[f"{base}{number}.up_proj.weight"] = up.clone()
        elif name.endswith(_EXPERTS_DOWN):
            base = prefix + name.removesuffix("down_proj")
            for number, down in enumerate(value):
                out[f"{base}{number}.down_proj.weight"] = down.clone()
        else:
            out[prefix + name] = value.clone()
    return out


def _thinker_state(runs: Path, allow_untrained: bool) -> tuple[Tensors, str]:
    path = runs / "thinker.pt"
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        return state["thinker"], f"trained to step {state['step']}"
    if not allow_untrained:
        raise FileNotFoundError(
            f"{path} is missing; run first: python -m training.train_thinker (or --allow-untrained)"
        )
    from training.stage import make_thinker

    thinker: Tensors = make_thinker().state_dict()
    return thinker, "random weights, not trained"


def _voice_state(runs: Path, stage: str, allow_untrained: bool) -> tuple[Tensors, str]:
    path = runs / stage / "state.pt"
    if path.exists():
        state = torch.load(path, map_location="cpu", weights_only=True)
        weights: Tensors = state.get("average", state["model"])
        return weights, f"trained to step {state['step']}"
    if not allow_untrained:
        raise FileNotFoundError(f"{path} is missing; run first: python -m training.{stage} (or --allow-untrained)")
    if stage == "talker":
        from training.talker import Talker

        return Talker().state_dict(), "random weights, not trained"
    from training.code2wav import new_code2wav

    code2wav: Tensors = new_code2wav().state_dict()
    return code2wav, "random weights, not trained"


def gather(runs: Path, allow_untrained: bool) -> tuple[Tensors, dict[str, str]]:
    """All tensors with published names in bfloat16, a word about each half. ValueError if names or shapes differ."""
    thinker, thinker_note = _thinker_state(runs, allow_untrained)
    talker, talker_note = _voice_state(runs, "talker", allow_untrained)
    code2wav, code2wav_note = _voice_state(runs, "code2wav", allow_untrained)
    core = {name.removeprefix("core."): value for name, value in talker.items() if name.startswith("core.")}
    tensors = published("thinker.", thinker) | published("talker.", core) | published("code2wav.", code2wav)
    shapes = expected_tensors(parse_config(config.omni_config()))
    missing = sorted(set(shapes) - set(tensors))
    left_over = sorted(set(tensors) - set(shapes))
    if missing or left_over:
        raise ValueError(f"names differ from the published format: missing {missing[:5]}, left over {left_over[:5]}")
    wrong = [name for name, shape in shapes.items() if tuple(tensors[name].shape) != tuple(shape)]
    if wrong:
        raise ValueError(
            f"{wrong[0]} has shape {tuple(tensors[wrong[0]].shape)}, training/config.py says {shapes[wrong[0]]}; "
            "train that half again with these sizes"
        )
    bf16 = {name: value.to(torch.bfloat16).contiguous() for name, value in tensors.items()}
    return bf16, {"Thinker": thinker_note, "Talker": talker_note, "Code2Wav": code2wav_note}


def side_files() -> dict[str, dict[str, Any]]:
    """The JSON files beside the weights."""
    files = processor_files(hold=True)
    tokenizer = dict(files["tokenizer_config.json"])
    # Qwen2Tokenizer would put its own way of cutting words in place of ours.
    tokenizer["tokenizer_class"] = "PreTrainedTokenizerFast"
    preprocessor = {
        **files["preprocessor_config.json"],
        "min_pixels": config.PICTURE_MIN_PIXELS,
        "max_pixels": config.PICTURE_MAX_PIXELS,
    }
    generation = {
        **files["generation_config.json"],
        "eos_token_id": [text.IM_END],
        "pad_token_id": text.END_OF_TEXT,
        "thinker_max_new_tokens": 400,
        "talker_max_new_tokens": 500,
        "talker_do_sample": False,
        "talker_repetition_penalty": 1.0,
        "knows_tools": False,  # until a checkpoint was trained on them
        "knows_read_text": False,  # the same
        **({"conversation_turns": config.CONVERSATION_TURNS} if config.CONVERSATION_TURNS else {}),
    }
    return {
        **files,
        "tokenizer_config.json": tokenizer,
        "preprocessor_config.json": preprocessor,
        "generation_config.json": generation,
        "config.json": config.omni_config(),
    }


def model_card(notes: dict[str, str], n_parameters: int, tables: str) -> str:
    """MODEL_CARD.md: what it is, how far each half is trained, what was measured."""
    halves = "\n".join(f"- {part}: {note}" for part, note in notes.items())
    return f"""# flash-mini

A small Qwen3-Omni ({n_parameters / 1e6:.1f} million parameters, bfloat16) in the published format, trained from nothing
on speech of free synthetic voices and on rendered pictures, with recordings of people and pictures of the real world to
know the edge of its world by. It knows a small closed domain of short English talk about
itself and about simple pictures. It is the default of Sightline, so that everything can be tried without a large
download; it is not an assistant to rely on.

## State of this checkpoint
{halves}

## Voices
`ethan` (default) and `chelsie`, learnt from flite's voices rms and slt. The text that the Thinker writes is
time-aligned: `<|hold|>` tokens fill the codec frames in which no new word is due; decode with special tokens
skipped.

## Made with
`training/README.md` in Sightline's repository: every stage is one command. Recordings of people: 306 spoken orders of
Picovoice's speech-to-intent-benchmark and 240 words of its wake-word-benchmark (Apache-2.0), 385 sentences of LJ Speech
1.0 (public domain), announcements of Debian's asterisk-core-sounds-en-wav whose names begin with a to m
(CC-BY-SA-3.0). Pictures that it says it cannot tell: crops from Debian's mate-backgrounds, plasma-workspace-wallpapers,
openclipart-png and adwaita-icon-theme.

{tables}"""


def write_checkpoint(runs: Path, out: Path, *, allow_untrained: bool = False) -> int:
    """Write the directory; returns the number of parameters."""
    tensors, notes = gather(runs, allow_untrained)
    out.mkdir(parents=True, exist_ok=True)
    new = out / "model.safetensors.new"
    save_file(tensors, new, metadata={"format": "pt"})
    new.chmod(0o644)  # safetensors makes its files readable by their owner only
    new.replace(out / "model.safetensors")
    for name, content in side_files().items():
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (out / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    text.tokenizer().save(str(out / "tokenizer.json"))
    n_parameters = sum(value.numel() for value in tensors.values())
    tables = "\n".join(path.read_text(encoding="utf-8") for path in sorted((runs / "evaluation").glob("*.md")))
    (out / "MODEL_CARD.md").write_text(model_card(notes, n_parameters, tables), encoding="utf-8")
    return n_parameters


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description="Write both halves as a checkpoint directory in the published format.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--out", type=Path, help="default: RUNS/flash-mini")
    parser.add_argument("--allow-untrained", action="store_true")
    options = parser.parse_args()
    out = options.out or options.runs / "flash-mini"
    n = write_checkpoint(options.runs, out, allow_untrained=options.allow_untrained)
    size_mb = (out / "model.safetensors").stat().st_size / 1e6
    print(f"{out}: {n / 1e6:.2f} M parameters, {size_mb:.1f} MB")


if __name__ == "__main__":
    main()
