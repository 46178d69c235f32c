"""When each word of a reply is spoken: one deterministic function of the text, on the grid of the codec's frames.

Every word lasts a whole number of codec frames (80 ms) that depends only on the word and on whether a pause follows,
and pauses are whole frames too. So a word looks the same to the Talker wherever it stands (same tokens, same place on
the frame grid), and how many holds follow it is a thing the Thinker can learn by heart. Both voices are stretched to
this clock (`training.voice_data`). The lengths are the mean of what flite's two voices take.
"""

from __future__ import annotations

from dataclasses import dataclass

from training import flite, text, word_clock

FRAME_S = 1920 / 24_000
FIRST_WORD_FRAME = 2  # silence before the first word, codec frames
LOOKAHEAD_FRAMES = 3  # a word's first token arrives this many frames before the word begins
TAIL_FRAMES = 2  # silence after the last word; then the codec stops
COMMA_FRAMES = 2
STOP_FRAMES = 4
# Words between two others in a sentence are a little shorter than in the measuring phrase.
_SENTENCE_FACTOR = 0.93


@dataclass(frozen=True)
class Plan:
    """A reply on the frame grid. Token `n` is heard by the Talker while it makes codec frame `n`."""

    words: tuple[str, ...]
    starts: tuple[int, ...]  # codec frame in which each word begins
    lengths: tuple[int, ...]  # codec frames each word lasts
    n_frames: int
    token_ids: list[int]


def word_frames(core: str, final: bool) -> int:
    """Codec frames that `core` (a word without punctuation) lasts; `final`: a pause follows it."""
    return max(1, round(_SENTENCE_FACTOR * word_clock.word_time(core, final).seconds / FRAME_S))


def spoken_words(reply: str) -> list[str]:
    """The words of a reply as they are spoken; a piece without letter or digit goes to the word before it."""
    words: list[str] = []
    for piece in reply.split():
        if any(letter.isalnum() for letter in piece):
            words.append(piece)
        elif words:
            words[-1] += piece
    return words


def _pause_after(word: str) -> int:
    punctuation = flite.split_punctuation(word)[1]
    if not punctuation:
        return 0
    return STOP_FRAMES if punctuation[0] in ".!?" else COMMA_FRAMES


def plan(reply: str) -> Plan:
    """The clock of `reply`. Raises ValueError when there is nothing in it to speak."""
    words = spoken_words(reply)
    if not words:
        raise ValueError(f"{reply!r} has no word to speak; expected at least one letter or digit")
    ids: list[int] = []
    starts: list[int] = []
    lengths: list[int] = []
    frame = FIRST_WORD_FRAME
    for number, word in enumerate(words):
        tokens = text.encode(word if number == 0 else " " + word)
        ids += [text.HOLD] * (frame - LOOKAHEAD_FRAMES - len(ids))
        late = len(ids) + 1 - frame  # the word may begin one frame after its first token, not earlier
        if late > 0:
            if lengths and not _pause_after(words[number - 1]):
                lengths[-1] += late
            frame += late
        ids += tokens
        pause = _pause_after(word)
        last = number == len(words) - 1
        length = word_frames(flite.split_punctuation(word)[0], pause > 0 or last)
        starts.append(frame)
        lengths.append(length)
        frame += length + (0 if last else pause)
    n_frames = max(frame + TAIL_FRAMES, len(ids) + 1)
    ids += [text.HOLD] * (n_frames - LOOKAHEAD_FRAMES - len(ids))
    return Plan(tuple(words), tuple(starts), tuple(lengths), n_frames, ids)


def speakable_tokens(reply: str) -> list[int]:
    """Token ids of a reply with the holds that put each word about three codec frames before it is spoken.

    Deterministic. This is what the Thinker learns to write.
    """
    return plan(reply).token_ids
