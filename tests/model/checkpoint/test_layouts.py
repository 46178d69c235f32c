"""Checkpoints as they are found: every layout loads and answers, or is refused in one sentence with cause and remedy.

Each row of the table makes its checkpoint from a tiny one by script and says what it must do.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import make_tokenizer, random_config
from model.checkpoint.config import load_config, parse_config
from model.checkpoint.files import Checkpoint
from model.checkpoint.tensors import expected_tensors
from model.checkpoint.tokenizer import ChatTokens, Tokenizer, with_chat_ids
from model.conversation.events import ReplyDone, SpeechDelta, TextDelta
from model.conversation.session import Session
from model.errors import ModelError
from model.flash import Flash, load, read_small_files
from model.network.generation import read_generation
from model.network.images import ImageSettings
from model.network.mel import check_settings
from model.network.parts import build
from model.network.sampling import GREEDY
from model.quant.convert import quantize_checkpoint
from model.quant.formats import PackQuantized
from model.quant.load import stored_weights
from model.quant.packing import pack_levels, unpack_levels
from model.quant.parts import default_policy
from model.quant.sections import quantization_section

Tensors = dict[str, Tensor]
PICTURE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = make_tokenizer()
    return write_random_checkpoint(tmp_path_factory.mktemp("tiny"), random_config(tokenizer), tokenizer)


@pytest.fixture(scope="module")
def packed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in int4, as `models quantize` writes it, in one file."""
    folder = tmp_path_factory.mktemp("packed")
    quantize_checkpoint(tiny, folder, default_policy(4, 32))
    files = list(folder.glob("*.safetensors"))
    tensors: Tensors = {}
    for file in files:
        tensors |= load_file(file)
        file.unlink()
    (folder / "model.safetensors.index.json").unlink()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def answer(flash: Flash, *, picture: bool = False) -> tuple[str, int]:
    """Text and samples of a short greedy reply."""
    session = Session(flash, "", seed=1, thinker_sampling=GREEDY, talker_sampling=GREEDY, predictor_sampling=GREEDY)
    if picture:
        session.see(PICTURE)
    session.read("hello")
    text, samples, done = "", 0, False
    for event in session.reply(max_tokens=4, speech=True):
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, SpeechDelta):
            samples += len(event.samples)
        else:
            done = isinstance(event, ReplyDone)
        if samples > 1920:
            break
    assert done or samples
    return text, samples


# ---- how checkpoints are changed -------------------------------------------------------------------------------------


def change(folder: Path, file: str, edit: Callable[[Any], Any]) -> None:
    path = folder / file
    content = edit(json.loads(path.read_text()))
    path.write_text(json.dumps(content))


def change_tensors(folder: Path, edit: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    save_file(edit(tensors), path, metadata={"format": "pt"})


def new_processor(folder: Path) -> None:
    old = json.loads((folder / "preprocessor_config.json").read_text())
    pictures = {key: old[key] for key in ("image_mean", "image_std", "patch_size", "temporal_patch_size", "merge_size")}
    pictures |= {"size": {"shortest_edge": old["min_pixels"], "longest_edge": old["max_pixels"]}, "min_pixels": None}
    sound = {key: old[key] for key in ("feature_size", "sampling_rate", "hop_length", "n_fft", "dither")}
    (folder / "processor_config.json").write_text(
        json.dumps(
            {"image_processor": pictures, "feature_extractor": sound, "processor_class": "Qwen3OmniMoeProcessor"}
        )
    )
    (folder / "preprocessor_config.json").unlink()


def fuse_experts(tensors: Tensors) -> Tensors:
    """As `save_original_format=False` stores them."""
    bases = {name.partition(".experts.")[0] for name in tensors if ".experts." in name}
    for base in bases:
        count = 1 + max(
            int(name.split(".experts.")[1].split(".")[0]) for name in tensors if name.startswith(f"{base}.experts.")
        )

        def take(part: str, base: str = base, count: int = count) -> list[Tensor]:
            return [tensors.pop(f"{base}.experts.{number}.{part}.weight") for number in range(count)]

        gates, ups, downs = take("gate_proj"), take("up_proj"), take("down_proj")
        joined = [torch.cat(pair) for pair in zip(gates, ups, strict=True)]
        tensors[f"{base}.experts.gate_up_proj"] = torch.stack(joined)
        tensors[f"{base}.experts.down_proj"] = torch.stack(downs)
    return tensors


def without_voice(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name.startswith("thinker.")}


def as_transformers_saves(folder: Path, part: str = "", *, original: bool) -> None:
    """Read and saved again by the installed transformers, the whole of it or the Thinker."""
    whole = transformers.Qwen3OmniMoeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    saved = whole.get_submodule(part)
    saved.save_pretrained(folder, save_original_format=original)


def nested(tensors: Tensors) -> Tensors:
    """As `save_original_format=False` of later versions names what it fuses."""

    def inside(name: str) -> str:
        if name.startswith("thinker.model."):
            return name.replace("thinker.model.", "thinker.model.language_model.")
        return name.replace("thinker.", "thinker.model.") if "_tower." in name or ".visual." in name else name

    return {inside(name): tensor for name, tensor in tensors.items()}


def twice(tensors: Tensors) -> Tensors:
    return tensors | {"model.norm.weight": tensors["thinker.model.norm.weight"] + 1}


def thinker_alone(folder: Path) -> None:
    change_tensors(folder, lambda t: {n.removeprefix("thinker."): x for n, x in without_voice(t).items()})
    change(folder, "config.json", lambda c: c["thinker_config"] | {"model_type": "qwen3_omni_moe_thinker"})


def newer_rope(config: dict[str, Any]) -> dict[str, Any]:
    for text in (config["thinker_config"]["text_config"], config["talker_config"]["text_config"]):
        sections = text.pop("rope_scaling")["mrope_section"]
        text["rope_parameters"] = {
            "rope_type": "mrope", "rope_theta": text.pop("rope_theta"),
            "mrope_section": sections, "mrope_interleaved": True,
        }  # fmt: skip
    return config


def byte_order_marks(folder: Path) -> None:
    for file in folder.iterdir():
        if file.suffix in (".json", ".txt"):
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())


def hub_cache(folder: Path) -> Path:
    cache = folder.parent / "models--Qwen--Tiny"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc123")
    shutil.move(folder, cache / "snapshots" / "abc123")
    shutil.copytree(cache / "snapshots" / "abc123", cache / "snapshots" / "older")
    (cache / "snapshots" / "older" / "config.json").write_text("{}")
    return cache


def gguf_only(folder: Path) -> None:
    for file in folder.glob("*.safetensors"):
        file.unlink()
    (folder / "config.json").unlink()
    (folder / "thinker-Q8_0.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")


def one_gguf(folder: Path) -> Path:
    file = folder / "thinker-Q4_K_M.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00")
    return file


def drop(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def edit_config(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    """`edit` changes the config in place, or returns another."""

    def run(folder: Path) -> None:
        def apply(config: dict[str, Any]) -> dict[str, Any]:
            changed = edit(config)
            return changed if isinstance(changed, dict) else config

        change(folder, "config.json", apply)

    return run


def set_all(**values: object) -> Callable[[Path], None]:
    return edit_config(lambda config: config | values)


def without(*names: str) -> Callable[[Path], None]:
    return edit_config(lambda config: {key: value for key, value in config.items() if key not in names})


def renamed(old: str, new: str) -> Callable[[Path], None]:
    return edit_config(lambda config: {new if key == old else key: value for key, value in config.items()})


def as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


# ---- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """`does`: "same" (answers as the tiny one does), "text" (has no voice), or words of the refusal."""

    name: str
    make: Callable[[Path], Path | None]
    does: str
    start: str = "tiny"


LAYOUTS = [
    Layout("as published", lambda folder: None, "same"),
    Layout("only processor_config.json", new_processor, "same"),
    Layout("no side file", drop("preprocessor_config.json"), "holds neither preprocessor_config.json nor"),
    Layout(
        "a processor_config.json without pictures",
        lambda f: [drop("preprocessor_config.json")(f), (f / "processor_config.json").write_text("{}")][0],
        "'image_processor' is missing|'feature_extractor' is missing",
    ),
    Layout("fused experts", lambda folder: change_tensors(folder, fuse_experts), "same"),
    Layout("fused experts, all inside model", lambda f: change_tensors(f, lambda t: nested(fuse_experts(t))), "same"),
    Layout("saved by transformers", lambda f: as_transformers_saves(f, original=True), "same"),
    Layout("saved by transformers in its own format", lambda f: as_transformers_saves(f, original=False), "same"),
    Layout(
        "the Thinker alone, saved by transformers in its own format",
        lambda f: as_transformers_saves(f, "thinker", original=False),
        "text",
    ),
    Layout("a tensor under two names", lambda folder: change_tensors(folder, twice), "is there twice"),
    Layout("rope_type mrope in rope_parameters", edit_config(newer_rope), "same"),
    Layout("dtype spelt torch.float32", set_all(dtype="torch.float32"), "same"),
    Layout("torch_dtype", renamed("dtype", "torch_dtype"), "same"),
    Layout("dtype in a section only", without("dtype"), "same"),
    Layout("dtype that is none", set_all(dtype="float8_e4m3fn"), "'dtype' is 'float8_e4m3fn', expected one of"),
    Layout("byte order marks", byte_order_marks, "same"),
    Layout("a hub's cache folder", hub_cache, "same"),
    Layout("a file of the folder", lambda folder: folder / "config.json", "is a file; give its folder"),
    Layout("a name at a hub", lambda _folder: Path("Qwen/Qwen3-Omni-30B-A3B-Instruct"), "main.py models get Qwen"),
    Layout("a folder above it", lambda folder: folder.parent, "but there is one in its folder: give"),
    Layout("GGUF only", gguf_only, "without the Talker that speaks"),
    Layout("a GGUF file", one_gguf, "without the Talker that speaks"),
    Layout("no voice wanted", set_all(enable_audio_output=False), "text"),
    Layout("no talker sections", without("talker_config", "code2wav_config"), "text"),
    Layout("null talker sections", set_all(talker_config=None, code2wav_config=None), "text"),
    Layout("talker stripped", lambda folder: change_tensors(folder, without_voice), "text"),
    Layout("the Thinker alone", thinker_alone, "text"),
    Layout(
        "half a talker",
        lambda f: change_tensors(f, lambda t: {n: x for n, x in t.items() if not n.startswith("code2wav.")}),
        r"tensors are missing, first 'code2wav",
    ),
    Layout("another model", set_all(model_type="llama"), "model_type is 'llama', expected"),
    Layout("a pickle", as_pickle, "pickle"),
    Layout("packed", lambda folder: None, "same", "packed"),
    Layout("packed, exact names before patterns before classes", lambda f: exact_targets(f), "same", "packed"),
    Layout("packed, mixed precision", lambda f: mixed_precision(f), "same", "packed"),
    Layout("packed, section in text_config", lambda f: move_section(f), "same", "packed"),
    Layout("packed, section in a file beside", lambda f: section_beside(f), "same", "packed"),
    Layout("packed, weight_g_idx in order", lambda f: add_order(f, plain=True), "same", "packed"),
    Layout("packed, weight_g_idx not in order", lambda f: add_order(f, plain=False), "not in order", "packed"),
    Layout("packed, but nothing says so", without("quantization_config"), "neither config.json", "packed"),
    Layout(
        "packed in a format of others", lambda f: set_section(f, format="float-quantized"), "float-quantized", "packed"
    ),
    Layout(
        "packed by a method of others",
        lambda f: set_section(f, quant_method="exl2"),
        "quant_method is 'exl2'",
        "packed",
    ),
    Layout("GPTQ", lambda f: as_gptq(f), "gptq", "packed"),
    Layout(
        "GPTQ, desc_act with g_idx in plain order", lambda f: as_gptq(f, desc_act=True, order="plain"), "gptq", "packed"
    ),
    Layout(
        "GPTQ, desc_act and g_idx not in order",
        lambda f: as_gptq(f, desc_act=True, order="mixed"),
        "not in order",
        "packed",
    ),
    Layout("GPTQ, section in quantize_config.json", lambda f: quantize_config_beside(f), "gptq", "packed"),
    Layout("GPTQ, desc_act without g_idx", lambda f: as_gptq(f, desc_act=True), "g_idx", "packed"),
    Layout("GPTQ, dynamic", lambda f: as_gptq(f, dynamic=True), "gptq", "packed"),
    Layout("auto_round spelt so", lambda f: as_gptq(f, method="auto_round"), "gptq", "packed"),
    Layout("AutoRound, extra_config", lambda f: as_gptq(f, method="auto-round", extra=True), "gptq", "packed"),
    Layout(
        "GPTQ without its section",
        lambda f: [as_gptq(f), without("quantization_config")(f)][0],
        "neither config.json",
        "packed",
    ),
]


def set_section(folder: Path, **values: object) -> None:
    change(folder, "config.json", lambda c: c | {"quantization_config": c["quantization_config"] | values})


def section_of(folder: Path) -> dict[str, Any]:
    section: dict[str, Any] = json.loads((folder / "config.json").read_text())["quantization_config"]
    return section


def exact_targets(folder: Path) -> None:
    """A class and a pattern that would be wrong stand before the names that are right."""
    section = section_of(folder)
    right = next(g["weights"] for g in section["config_groups"].values() if g["weights"]["num_bits"] == 4)
    wrong = right | {"num_bits": 8}
    names = {n.removesuffix(".weight_packed") for n in load_file(folder / "model.safetensors") if n.endswith("_packed")}
    eight = next(g["weights"] for g in section["config_groups"].values() if g["weights"]["num_bits"] == 8)
    text = sorted(name for name in names if "audio_tower" not in name and "visual" not in name)
    encoders = sorted(names - set(text))
    groups = {
        "class": {"targets": ["Linear"], "weights": wrong},
        "pattern": {"targets": ["re:.*visual.*", "re:.*audio_tower.*"], "weights": eight},
        "names": {"targets": text, "weights": right},
    }
    assert encoders
    set_section(folder, config_groups=groups)


def mixed_precision(folder: Path) -> None:
    section = section_of(folder)
    groups = {name: group | {"format": "pack-quantized"} for name, group in section["config_groups"].items()}
    set_section(folder, format="mixed-precision", config_groups=groups)


def move_section(folder: Path) -> None:
    def move(config: dict[str, Any]) -> dict[str, Any]:
        config["thinker_config"]["text_config"]["quantization_config"] = config.pop("quantization_config")
        return config

    change(folder, "config.json", move)


def section_beside(folder: Path) -> None:
    (folder / "quantization_config.json").write_text(json.dumps(section_of(folder)))
    change(folder, "config.json", lambda c: {k: v for k, v in c.items() if k != "quantization_config"})


def quantize_config_beside(folder: Path) -> None:
    """As AutoGPTQ writes it: in a file of its own, which names no method."""
    as_gptq(folder)
    section = {key: value for key, value in section_of(folder).items() if key != "quant_method"}
    without("quantization_config")(folder)
    (folder / "quantize_config.json").write_text(json.dumps(section))


def add_order(folder: Path, *, plain: bool) -> None:
    def edit(tensors: Tensors) -> Tensors:
        name = next(n for n in sorted(tensors) if n.endswith("self_attn.o_proj.weight_packed") and "thinker" in n)
        n_inputs = int(tensors[name.replace("_packed", "_shape")][1])
        order = torch.arange(n_inputs, dtype=torch.int32) // 32
        tensors[name.replace("_packed", "_g_idx")] = order if plain else order.flip(0)
        return tensors

    change_tensors(folder, edit)


def as_gptq(
    folder: Path,
    *,
    method: str = "gptq",
    desc_act: bool = False,
    order: str = "",
    dynamic: bool = False,
    extra: bool = False,
) -> None:
    """Thinker's o_proj in GPTQ packing, all else plain; with `dynamic` or `extra` one layer stays plain by name."""
    tensors: Tensors = {}
    source = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    section = quantization_section(config)
    assert section is not None
    form = PackQuantized.from_config(section)
    for name, shape in expected_tensors(parse_config(config)).items():
        if form.tensors_of(name, shape, source) is None:
            tensors[name] = source[name]
            continue
        weight = form.read(name, shape, source.__getitem__)
        base = name.removesuffix(".weight")
        keeps = "layers.0." in name if dynamic or extra else False
        if not base.endswith("o_proj") or "thinker.model." not in base or keeps:
            tensors[name] = weight.dequantize(torch.bfloat16)
            continue
        levels = unpack_levels(weight.words, weight.spec.bits, shape[1])
        zero = torch.full_like(weight.scale, 8, dtype=torch.uint8) if weight.zero is None else weight.zero
        tensors[f"{base}.qweight"] = pack_levels(levels, 4).t().contiguous()
        tensors[f"{base}.qzeros"] = pack_levels((zero - 1).t().contiguous(), 4)
        tensors[f"{base}.scales"] = weight.scale.t().contiguous().to(torch.float16)
        if order:
            index = torch.arange(shape[1], dtype=torch.int32) // 32
            tensors[f"{base}.g_idx"] = index if order == "plain" else index.flip(0)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    gptq: dict[str, Any] = {"quant_method": method, "bits": 4, "group_size": 32, "desc_act": desc_act, "sym": False}
    if dynamic:
        gptq["dynamic"] = {r"-:.*layers\.0\..*": {}, r"+:.*layers\.9\..*": {"bits": 8}}
    if extra:
        gptq["packing_format"] = "auto_round:auto_gptq"
        gptq["extra_config"] = {"thinker.model.layers.0.self_attn.o_proj": {"bits": 16}, ".*mlp.*": {"bits": 16}}
    change(folder, "config.json", lambda c: c | {"quantization_config": gptq})


@pytest.fixture(scope="module")
def answers(tiny: Path, packed: Path) -> dict[str, tuple[str, int]]:
    """What the unchanged ones answer."""
    return {
        name: answer(load(folder, device="cpu", dtype="float32"), picture=True)
        for name, folder in (("tiny", tiny), ("packed", packed))
    }


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_a_layout(
    layout: Layout, tiny: Path, packed: Path, answers: dict[str, tuple[str, int]], tmp_path: Path
) -> None:
    folder = tmp_path / "inside" / "checkpoint"
    shutil.copytree(tiny if layout.start == "tiny" else packed, folder)
    path = layout.make(folder) or folder
    if layout.does in ("same", "text", "gptq"):
        flash = load(path, device="cpu", dtype="float32")
        text, samples = answer(flash, picture=True)
        assert text, "it answers"
        assert bool(samples) == (layout.does != "text")
        assert bool(flash.voices) == (layout.does != "text")
        if layout.does == "same":
            assert (text, samples) == answers[layout.start]
        return
    with pytest.raises(ModelError, match=layout.does) as caught:
        load(path, device="cpu", dtype="float32")
    message = str(caught.value)
    assert "\n" not in message
    if layout.start == "packed":
        assert "download" not in message  # nothing is missing: it is stored in another way
    assert ";" in message or "give" in message.lower() or "use" in message.lower() or "expected" in message


def leaves(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every value that is no object or list, and to every object and list."""
    if path:
        yield path
    if isinstance(content, dict):
        for key, value in content.items():
            yield from leaves(value, (*path, key))
    elif isinstance(content, list):
        for number, value in enumerate(content[:3]):  # the rest of a list is alike
            yield from leaves(value, (*path, number))


# ---- every leaf of every JSON file -----------------------------------------------------------------------------------

WRONG: dict[str, Any] = {
    "null": None,
    "text": "wrong",
    "number": 7,
    "list": [1, "two", None],
    "object": {"a": 1},
    "negative": -3,
    "huge": 10**15,
    "enormous": 10**400,
    "not a number": float("nan"),
    "flag": True,
}
REMOVED = object()
LOADED = 9


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with one value replaced, or removed."""
    copied = json.loads(json.dumps(content))
    place = copied
    for key in path[:-1]:
        place = place[key]
    if value is REMOVED:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


def cases(folder: Path, file: str, every: int = 1) -> list[tuple[tuple[Any, ...], str, Any]]:
    content = json.loads((folder / file).read_text())
    found = [
        (path, name, put(content, path, value))
        for path in leaves(content)
        for name, value in (*WRONG.items(), ("removed", REMOVED))
    ]
    return found[::every]


JSON_FILES = {
    "config.json": "tiny",
    "generation_config.json": "tiny",
    "preprocessor_config.json": "tiny",
    "tokenizer_config.json": "parts",
    "vocab.json": "parts",
    "tokenizer.json": "tiny",
    "model.safetensors.index.json": "shards",
    "processor_config.json": "new",
    "quantization": "packed",
}


@pytest.fixture(scope="module")
def fuzzed(tiny: Path, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A checkpoint for each way in which JSON files are there."""
    places: dict[str, Path] = {}
    for kind, start in (("tiny", tiny), ("packed", packed), ("new", tiny), ("parts", tiny), ("shards", tiny)):
        places[kind] = folder = tmp_path_factory.mktemp("fuzz") / kind
        shutil.copytree(start, folder)
    new_processor(places["new"])
    whole = json.loads((places["parts"] / "tokenizer.json").read_text())
    added = {str(token.pop("id")): token for token in whole["added_tokens"]}
    change(places["parts"], "tokenizer_config.json", lambda c: c | {"added_tokens_decoder": added})
    (places["parts"] / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in whole["model"]["merges"])
    (places["parts"] / "merges.txt").write_text("\n".join(pairs) + "\n")
    (places["parts"] / "tokenizer.json").unlink()
    tensors = load_file(places["shards"] / "model.safetensors")
    (places["shards"] / "model.safetensors").rename(places["shards"] / "model-00001-of-00001.safetensors")
    index = {"metadata": {"total_size": 1}, "weight_map": dict.fromkeys(tensors, "model-00001-of-00001.safetensors")}
    (places["shards"] / "model.safetensors.index.json").write_text(json.dumps(index))
    return places


@pytest.mark.slow
@pytest.mark.parametrize("file", JSON_FILES)
def test_every_leaf_of_every_json_file(fuzzed: dict[str, Path], file: str) -> None:
    """Null, another type, negative, huge, removed: read, or refused by a typed error in one line; nothing else.

    Each file is read as `load` reads it; what config.json makes of the weights is checked against the files' headers,
    and modules are built without filling them. Of those that are read every `LOADED`th is loaded as well, and answers.
    """
    folder = fuzzed[JSON_FILES[file]]
    name = "config.json" if file == "quantization" else file
    original = (folder / name).read_text()
    read = Reader(folder)
    n_read = n_refused = 0
    # Lists of tokens and of tensors are long, and all alike.
    every = {"vocab.json": 41, "tokenizer.json": 23, "model.safetensors.index.json": 211}.get(file, 1)
    for path, kind, content in cases(folder, name, every):
        if file == "quantization" and path[0] != "quantization_config":
            continue
        (folder / name).write_text(json.dumps(content))
        try:
            read.again(name)
            n_read += 1
            if n_read % LOADED == 0:
                assert answer(load(folder, device="cpu", dtype="float32"), picture=True)
        except ModelError as error:
            if "\n" in str(error) or len(str(error)) > 1500:
                raise AssertionError(f"{name}: {path} {kind}: more than a line: {error}") from error
            n_refused += 1
        except BaseException as error:
            raise AssertionError(f"{name}: {path} {kind}: {type(error).__name__}: {error}") from error
    (folder / name).write_text(original)
    print(f"{file}: {n_read} read, {n_refused} refused")
    assert n_refused, "something must have been wrong"
    read.again(name)


class Reader:
    """Reads one file of a checkpoint again, as `load` does; what does not depend on it is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.small = read_small_files(folder)
        self.files, self.files_without_voice = Checkpoint(folder), Checkpoint(folder)
        self.files_without_voice.leave_out_voice()

    def again(self, name: str) -> None:
        folder, small = self.folder, self.small
        if name == "generation_config.json":
            read_generation(folder, small.config)
        elif name in ("preprocessor_config.json", "processor_config.json"):
            check_settings(folder, small.config.thinker.audio.num_mel_bins)
            ImageSettings.load(folder, small.config.thinker.vision)
        elif name == "model.safetensors.index.json":
            Checkpoint(folder)
        elif name == "config.json":
            self._config()
        else:
            ChatTokens.of(Tokenizer.load(folder), small.config)

    def _config(self) -> None:
        folder = self.folder
        config = with_chat_ids(load_config(folder), self.small.tokenizer)
        ChatTokens.of(self.small.tokenizer, config)
        ImageSettings.load(folder, config.thinker.vision)
        check_settings(folder, config.thinker.audio.num_mel_bins)
        files = self.files if config.talker is not None else self.files_without_voice
        expected = expected_tensors(config)
        stored = stored_weights(folder, expected, files.file_of)
        if stored is None:
            files.verify(expected)
        else:
            files.verify(stored.tensors, packed=stored.packed)
        build(config)
