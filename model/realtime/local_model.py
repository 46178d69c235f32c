"""The loaded checkpoint as the realtime server sees it."""

from __future__ import annotations

from model.conversation.session import Session
from model.flash import Flash


class LocalModel:
    """Opens sessions of one `Flash`; a `model.realtime.contract.SpeakingModel`. Owned by the model thread."""

    def __init__(self, flash: Flash) -> None:
        self.flash = flash

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the speakers, the default first; empty when the checkpoint cannot speak."""
        return self.flash.voices

    @property
    def knows_tools(self) -> bool:
        """False for a checkpoint that was trained without tools (`knows_tools` in its generation_config.json)."""
        return self.flash.generation.knows_tools

    @property
    def knows_read_text(self) -> bool:
        """False for a checkpoint that is not to be given what was read in a picture (the same file)."""
        return self.flash.generation.knows_read_text

    def open_session(self, instructions: str | None, voice: str | None) -> Session:
        """A conversation; raises InputError for an unknown voice."""
        return Session(self.flash, instructions, voice)
