"""The reference implementation on the same device: the published shapes with fewer layers, so that both sides fit."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.bench.random_checkpoint import write_random_checkpoint
from model.bench.random_config import Json, make_tokenizer
from model.bench.random_model import with_small_tokenizer
from model.bench.reference import run_side
from model.bench.sides import Case, Measured


def fewer_layers(published: Json, n_layers: int) -> Json:
    """At most `n_layers` in Thinker and Talker; everything else keeps its size."""
    content = with_small_tokenizer(published)
    content = deepcopy(content)
    thinker, talker = content["thinker_config"]["text_config"], content["talker_config"]
    thinker["num_hidden_layers"] = min(n_layers, thinker["num_hidden_layers"])
    talker["text_config"]["num_hidden_layers"] = min(n_layers, talker["text_config"]["num_hidden_layers"])
    talker["accept_hidden_layer"] = min(talker["accept_hidden_layer"], thinker["num_hidden_layers"])
    for config in (content["thinker_config"]["vision_config"],):
        indexes = config.get("deepstack_visual_indexes", [])
        config["deepstack_visual_indexes"] = indexes[: thinker["num_hidden_layers"]]
    return content


def compare_with_peer(published: Json, case: Case, n_layers: int, device: str, dtype: str) -> dict[str, Any]:
    """Both sides on the same random weights, each in its own process; seconds and milliseconds."""
    content = fewer_layers(published, n_layers)
    content["dtype"] = dtype
    with tempfile.TemporaryDirectory(prefix="sightline-peer-") as folder:
        work = Path(folder)
        path = write_random_checkpoint(work / "checkpoint", content, make_tokenizer())
        asked = replace(case, checkpoint=path, device=device, dtype=dtype)
        sides: dict[str, Measured] = {side: run_side(side, asked, work) for side in ("ours", "reference")}
    ours, reference = sides["ours"], sides["reference"]
    rows = {
        "first sound, all input at once (s)": (reference.first_sound_s, ours.first_sound_s),
        "whole reply (s)": (reference.total_s, ours.total_s),
        "Thinker (ms per token)": (reference.thinker_ms_per_token, ours.thinker_ms_per_token),
        "Talker to samples (ms per codec frame)": (reference.ms_per_frame, ours.ms_per_frame),
    }
    return {
        "layers": content["thinker_config"]["text_config"]["num_hidden_layers"],
        "n_tokens": len(ours.tokens),
        "same_text": ours.tokens == reference.tokens,
        "rows": [{"what": name, "reference": theirs, "ours": mine} for name, (theirs, mine) in rows.items()],
    }
