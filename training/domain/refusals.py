"""Questions that somebody must answer who can judge: safety, medicine, law, money. Many wordings from few parts.

The lists in talk.toml are how people ask most; the templates of refusals.toml add what they may ask about, so that the
answer hangs on the matter and not on a wording. No line of `training/eval/refusals.json` can come out (a test holds
that).
"""

from __future__ import annotations

import random
import re

from training.domain.phrasings import fill_slots, load_phrasings

_FILE = load_phrasings("refusals.toml")
_WORDINGS: dict[str, tuple[str, ...]] = _FILE["wordings"]
_PARTS: dict[str, tuple[str, ...]] = _FILE["parts"]


def ask(intent: str, rng: random.Random) -> str:
    """A question of this intent."""
    return fill_slots(rng.choice(_WORDINGS[intent]), _PARTS, rng)


def can_ask(intent: str, said: str) -> bool:
    """Whether these words can come out of `ask`."""

    def fits(template: str) -> bool:
        parts = re.split(r"\{(\w+)\}", template)
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else f"(?:{'|'.join(map(re.escape, _PARTS[part]))})"
            for number, part in enumerate(parts)
        )
        return re.fullmatch(pattern, said, re.IGNORECASE) is not None

    return any(fits(template) for template in _WORDINGS[intent])
