"""flash-mini's tokenizer: pairs of letters from the start of each word, short frequent words whole, bytes for the rest.

A token is about one codec frame of speech (80 ms), so the text that the Thinker writes can lie on the time axis of
the voice: `HOLD` tokens fill the frames in which no new text is due (`timing.speakable_tokens`). Everything here is
built by rule, so the vocabulary needs no training data; `tokenizer()` gives the `tokenizers` object that goes into
tokenizer.json.
"""

from __future__ import annotations

import string
from collections.abc import Iterable
from functools import cache
from itertools import product

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|audio_start|>",
    "<|audio_end|>",
    "<|audio_pad|>",
    "<tts_pad>",
    "<tts_text_bos>",
    "<tts_text_eod>",
    "<|hold|>",
)
ROLES = ("system", "user", "assistant")
# Whole tokens: short words that are spoken in less time than their pairs of letters would take to arrive.
SHORT_WORDS = tuple(
    "a I the is it of on in to at an and or you me my we he she they this that there here what who how where when "
    "are am was be do does did can not no yes one two three four five six its for with from by but so if as up out "
    "see left right top red blue your please have has which than them his her".split()
)
_VOWELS = "aeiouy"
_CLUSTERS = frozenset(
    "bl br ch cl cr dr dw fl fr gh gl gn gr kl kn kr ph pl pr ps qu rh sc sh sk sl sm sn sp sq st sv sw th tr ts tw "
    "wh wr".split()
)
_SPACE = "\u0120"  # the byte-level alphabet's letter for a space


def _byte_alphabet() -> list[str]:
    """The 256 printable stand-ins of the byte-level alphabet, in the order of the published tokenizers."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = [256 + n for n in range(256 - len(printable))]
    return [chr(code) for code in [*printable, *spare]]


def _initial_pairs() -> list[str]:
    return [
        first + second
        for first, second in product(string.ascii_lowercase, repeat=2)
        if first in _VOWELS or second in _VOWELS or first + second in _CLUSTERS
    ]


def _build_vocab() -> dict[str, int]:
    pieces = _byte_alphabet()
    pieces += [a + b for a, b in product(string.ascii_lowercase, repeat=2)]
    initial = _initial_pairs()
    pieces += [_SPACE + pair for pair in initial]
    pieces += [_SPACE + pair.capitalize() for pair in initial]
    pieces += [pair.capitalize() for pair in initial]
    pieces += [_SPACE + letter for letter in string.ascii_letters + string.digits]
    for word in SHORT_WORDS:
        pieces += [_SPACE + word, word, word[0].upper() + word[1:]]
    pieces += ROLES
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


_VOCAB = _build_vocab()
_FIRST_SPECIAL = len(_VOCAB)
_IDS = {name: _FIRST_SPECIAL + number for number, name in enumerate(SPECIAL_TOKENS)}
VOCAB_SIZE = -(-(_FIRST_SPECIAL + len(SPECIAL_TOKENS)) // 64) * 64

END_OF_TEXT = _IDS["<|endoftext|>"]
IM_START = _IDS["<|im_start|>"]
IM_END = _IDS["<|im_end|>"]
VISION_START = _IDS["<|vision_start|>"]
VISION_END = _IDS["<|vision_end|>"]
IMAGE_PAD = _IDS["<|image_pad|>"]
VIDEO_PAD = _IDS["<|video_pad|>"]
AUDIO_START = _IDS["<|audio_start|>"]
AUDIO_END = _IDS["<|audio_end|>"]
AUDIO_PAD = _IDS["<|audio_pad|>"]
TTS_PAD = _IDS["<tts_pad>"]
TTS_BOS = _IDS["<tts_text_bos>"]
TTS_EOS = _IDS["<tts_text_eod>"]
HOLD = _IDS["<|hold|>"]
SYSTEM, USER, ASSISTANT = (_VOCAB[role] for role in ROLES)
NEWLINE = _VOCAB["\u010a"]  # the byte-level alphabet's letter for a line feed


def _longest_first(words: Iterable[str]) -> list[str]:
    return sorted(words, key=lambda word: (-len(word), word))


@cache
def tokenizer() -> Tokenizer:
    """The tokenizer itself; do not change the returned object, it is shared."""
    whole = "|".join(_longest_first({w for s in SHORT_WORDS for w in (s, s[0].upper() + s[1:])}))
    lower = "|".join(_longest_first(SHORT_WORDS))
    pattern = (
        rf"(?:{'|'.join(ROLES)})(?=\n)"
        rf"| (?:{lower})(?![A-Za-z'])"
        rf"|(?<![A-Za-z' ])(?:{whole})(?![A-Za-z'])"
        r"| ?[A-Za-z]{1,2}"
        r"| ?[0-9]"
        r"|[\s\S]"
    )
    made = Tokenizer(models.BPE(vocab=_VOCAB, merges=[], ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL_TOKENS])
    for name, number in _IDS.items():
        if made.token_to_id(name) != number:
            raise RuntimeError(f"special token {name!r} got id {made.token_to_id(name)}, expected {number}")
    return made


def encode(text: str) -> list[int]:
    """Token ids of plain text or of text with special tokens written out."""
    return list(tokenizer().encode(text, add_special_tokens=False).ids)


def decode(ids: list[int], *, skip_special: bool = True) -> str:
    """Text of token ids; special tokens (holds too) are left out unless `skip_special` is False."""
    return str(tokenizer().decode(ids, skip_special_tokens=skip_special))
