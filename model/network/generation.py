"""How a checkpoint wants its tokens drawn, from its generation_config.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from model.checkpoint.config import ModelConfig
from model.checkpoint.config_section import Section
from model.checkpoint.json_file import read_section
from model.network.sampling import GREEDY, PREDICTOR_SAMPLING, TALKER_SAMPLING, Sampling

MOST_FRAMES = 1 << 16
"""Of one reply: more than an hour of speech."""


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
    knows_tools: bool = True  # whether a list of tools in its instructions means something to it
    knows_read_text: bool = True  # whether text that was read in a picture, given with the question, helps it


def read_generation(path: Path, config: ModelConfig) -> Generation:
    """Reads `path`/generation_config.json, with the published values where it is silent or missing.

    Raises ConfigError for a value of another type or out of its range.
    """
    file = path / "generation_config.json"
    values = (read_section(file) if file.exists() else Section({}, str(file))).without_nulls()

    def sampling(part: str, default: Sampling) -> Sampling:
        penalty = f"{part}_repetition_penalty"
        if not values.flag(f"{part}_do_sample", default.temperature > 0):
            return Sampling(0.0, repetition_penalty=values.number(penalty, 1.0, least=0.01, most=100))
        return Sampling(
            temperature=values.number(f"{part}_temperature", default.temperature or 1.0, least=0.01, most=100),
            top_k=values.integer(f"{part}_top_k", default.top_k),
            top_p=values.number(f"{part}_top_p", default.top_p, least=0.001, most=1),
            repetition_penalty=values.number(penalty, default.repetition_penalty, least=0.01, most=100),
        )

    several = isinstance(values.data.get("eos_token_id"), list)
    eos = values.integers("eos_token_id", ()) if several else (values.integer("eos_token_id", config.im_end_token_id),)
    stop_ids = {config.im_end_token_id, *eos}
    talker = sampling("talker", TALKER_SAMPLING)
    turns = values.integer("conversation_turns", least=1) if values.has("conversation_turns") else None
    return Generation(
        thinker=sampling("thinker", GREEDY),
        talker=talker,
        # It has no settings of its own: like transformers, it draws when the Talker does.
        predictor=PREDICTOR_SAMPLING if talker.temperature > 0 else GREEDY,
        stop_ids=frozenset(stop_ids),
        max_tokens=values.integer("thinker_max_new_tokens", 1024, least=1),
        max_frames=values.integer("talker_max_new_tokens", 4096, least=1, most=MOST_FRAMES),
        conversation_turns=turns,
        knows_tools=values.flag("knows_tools", True),
        knows_read_text=values.flag("knows_read_text", True),
    )
