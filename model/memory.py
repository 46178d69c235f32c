"""Where a model's memory is and how much of it: the settings that trade speed or precision for room."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import InputError

CACHE_BITS = (8, 16)
POSITIONS_MINIMUM = 64  # that a session can be opened with


@dataclass(frozen=True)
class Memory:
    """What may be chosen when loading; each setting's price stands in docs/memory.md.

    `positions`: a session's budget that must fit (None: the least useful one must fit, sessions take what is free).
    `cache_bits`: 16 keeps keys and values in the model's number type, 8 as int8. `embedding_on_host`: the Thinker's
    token table stays in host memory. `host_expert_layers`: so do the experts of the Thinker's first that many layers.
    `limit_bytes`: as if the device had no more than this. `check`: refuse, before anything is loaded, what cannot fit.
    """

    positions: int | None = None
    cache_bits: int = 16
    embedding_on_host: bool = False
    host_expert_layers: int = 0
    limit_bytes: int | None = None
    check: bool = True

    def __post_init__(self) -> None:
        if self.positions is not None and self.positions < POSITIONS_MINIMUM:
            raise InputError(f"positions is {self.positions}, expected at least {POSITIONS_MINIMUM}, or None")
        if self.cache_bits not in CACHE_BITS:
            raise InputError(f"cache_bits is {self.cache_bits}, expected one of {CACHE_BITS}")
        if self.host_expert_layers < 0:
            raise InputError(f"host_expert_layers is {self.host_expert_layers}, expected 0 or more")
        if self.limit_bytes is not None and self.limit_bytes < 1:
            raise InputError(f"limit_bytes is {self.limit_bytes}, expected at least 1, or None")
