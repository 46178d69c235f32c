"""How a checkpoint wants its tokens drawn, from its generation_config.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint.config import ModelConfig
from model.errors import CheckpointError
from model.network.sampling import GREEDY, PREDICTOR_SAMPLING, TALKER_SAMPLING, Sampling


@dataclass(frozen=True)
class Generation:
    """How this checkpoint wants its tokens drawn (generation_config.json; the published values where it is silent)."""

    thinker: Sampling
    talker: Sampling
    predictor: Sampling
    stop_ids: frozenset[int]
    max_tokens: int
    max_frames: int
    conversation_turns: int | None = None  # how many turns it can carry, the present one included; None: all that fit


def read_generation(path: Path, config: ModelConfig) -> Generation:
    """Reads `path`/generation_config.json, with the published values where it is silent or missing."""
    file = path / "generation_config.json"
    values: dict[str, Any] = {}
    if file.exists():
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise CheckpointError(f"{file} is not valid JSON ({error}); download it again") from error

    def sampling(part: str, default: Sampling) -> Sampling:
        if not values.get(f"{part}_do_sample", default.temperature > 0):
            return Sampling(0.0, repetition_penalty=float(values.get(f"{part}_repetition_penalty", 1.0)))
        return Sampling(
            temperature=float(values.get(f"{part}_temperature", default.temperature or 1.0)),
            top_k=int(values.get(f"{part}_top_k", default.top_k)),
            top_p=float(values.get(f"{part}_top_p", default.top_p)),
            repetition_penalty=float(values.get(f"{part}_repetition_penalty", default.repetition_penalty)),
        )

    eos = values.get("eos_token_id", [])
    stop_ids = {config.im_end_token_id, *(eos if isinstance(eos, list) else [eos])}
    talker = sampling("talker", TALKER_SAMPLING)
    turns = values.get("conversation_turns")
    if turns is not None and (isinstance(turns, bool) or not isinstance(turns, int) or turns < 1):
        raise CheckpointError(f"{file}: conversation_turns is {turns!r}; expected a whole number, 1 or more")
    return Generation(
        thinker=sampling("thinker", GREEDY),
        talker=talker,
        # It has no settings of its own: like transformers, it draws when the Talker does.
        predictor=PREDICTOR_SAMPLING if talker.temperature > 0 else GREEDY,
        stop_ids=frozenset(stop_ids),
        max_tokens=int(values.get("thinker_max_new_tokens", 1024)),
        max_frames=int(values.get("talker_max_new_tokens", 4096)),
        conversation_turns=turns,
    )
