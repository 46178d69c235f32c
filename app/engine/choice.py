"""The engine that the settings choose."""

from __future__ import annotations

from app.engine.target import Target, checked
from app.ports import EngineChoice
from app.settings import Settings


def engine_choice(settings: Settings) -> EngineChoice:
    """Two are equal when the same engine would answer."""
    if not settings.engine_url:
        return EngineChoice(settings.checkpoint, settings.quantize)
    return EngineChoice(
        url=settings.engine_url,
        token=settings.engine_token,
        kind=settings.engine_kind,
        model=settings.engine_model,
        headers=settings.engine_headers,
        query=settings.engine_query,
        ca_file=settings.engine_ca_file,
        fingerprint=settings.engine_fingerprint,
    )


def target_of(choice: EngineChoice) -> Target:
    """Raises ValueError, with a message for people, for what cannot be used."""
    return checked(
        choice.url,
        choice.token,
        choice.kind,
        choice.model,
        choice.headers,
        choice.query,
        choice.ca_file,
        choice.fingerprint,
    )
