"""What is asked in the user's name when a key stands for a question."""

from __future__ import annotations

from app.events import TextEntered

READ_ALOUD_LIMIT_S = 300.0

DESCRIBE = {
    "brief": "Describe what you see in one short sentence. Say where things are: left, right, ahead, near, far.",
    "normal": "Describe what you see in a few sentences, the most important first. Say where things are.",
    "full": "Describe everything you see in detail, from left to right. Say where things are.",
}
READ = (
    "Read all the text in the picture aloud, in order and completely. Do not summarise and add nothing. "
    "Say when a part cannot be read, and say so when there is no text."
)


def describe(at_s: float, detail: str) -> TextEntered:
    """`detail`: as in `app.settings.Settings`."""
    return TextEntered(at_s, DESCRIBE[detail], shown="Describe what you see.")


def read_aloud(at_s: float) -> TextEntered:
    return TextEntered(at_s, READ, shown="Read the text aloud.", limit_s=READ_ALOUD_LIMIT_S)
