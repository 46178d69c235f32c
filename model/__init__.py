"""The Flash model: a streaming Qwen3-Omni runtime. `load(path)` opens a checkpoint.

Names are resolved on first use (PEP 562), so that `import model.realtime.events` never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.conversation.events import ReplyDone, ReplyEvent, ReplyStats, SpeechDelta, TextDelta
    from model.conversation.session import Session
    from model.errors import CheckpointError, ConfigError, InputError, ModelError, OutOfMemoryError
    from model.flash import Flash, load
    from model.memory import Memory
    from model.network.sampling import Sampling

_PLACES = {
    "CheckpointError": "model.errors",
    "ConfigError": "model.errors",
    "InputError": "model.errors",
    "ModelError": "model.errors",
    "OutOfMemoryError": "model.errors",
    "ReplyDone": "model.conversation.events",
    "ReplyEvent": "model.conversation.events",
    "ReplyStats": "model.conversation.events",
    "SpeechDelta": "model.conversation.events",
    "TextDelta": "model.conversation.events",
    "Flash": "model.flash",
    "load": "model.flash",
    "Memory": "model.memory",
    "Sampling": "model.network.sampling",
    "Session": "model.conversation.session",
}

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Flash",
    "InputError",
    "Memory",
    "ModelError",
    "OutOfMemoryError",
    "ReplyDone",
    "ReplyEvent",
    "ReplyStats",
    "Sampling",
    "Session",
    "SpeechDelta",
    "TextDelta",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
