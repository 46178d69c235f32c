"""What the app has to know about a server before it asks anything of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Abilities:
    """By default what GA describes."""

    takes_back: bool = False
    """A reply that was begun on a guess can be taken back without a trace: the user's turn goes on."""
    says: bool = False
    """Words that are given can be spoken exactly (`sightline.say`)."""
    judges: bool = True
    """Words of a short utterance can be had without a reply to it."""
    tools: bool = True
    read_text: bool = True
    """Text that was read in a picture, given with the question, helps its model."""
