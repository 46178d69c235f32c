"""What is asked in the user's name when a key stands for a question."""

from __future__ import annotations

from app.events import TextEntered

DESCRIBE = {
    "brief": "Describe what you see in one short sentence. Say where things are: left, right, ahead, near, far.",
    "normal": "Describe what you see in a few sentences, the most important first. Say where things are.",
    "full": "Describe everything you see in detail, from left to right. Say where things are.",
}


def describe(at_s: float, detail: str) -> TextEntered:
    """`detail`: as in `app.settings.Settings`."""
    return TextEntered(at_s, DESCRIBE[detail], shown="Describe what you see.")
