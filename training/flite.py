"""flite's voices through its shared library, with the speaking time of every word under our control.

The command line tool starts anew for each sentence and knows one speed for all of it. Through the library each word
is a token of its own with `local_duration_stretch`, the feature flite's own SSML reader sets, so a word can be made to
last exactly as long as the codec's frame grid wants. Needs Debian's `flite` (libflite1). One process, one thread:
the library keeps global state.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
_PUNCTUATION = ".,;:!?"
_TOKEN_OF_SEGMENT = b"R:SylStructure.parent.parent.R:Token.parent"


class _Wave(c.Structure):
    _fields_ = [
        ("type", c.c_char_p),
        ("sample_rate", c.c_int),
        ("num_samples", c.c_int),
        ("num_channels", c.c_int),
        ("samples", c.POINTER(c.c_short)),
    ]


@dataclass(frozen=True)
class Segment:
    """One phone: its end in seconds and the number of the word it belongs to (-1: a pause)."""

    phone: str
    end_s: float
    word: int


@dataclass(frozen=True)
class Utterance:
    """Samples (float32 in -1..1 at RATE_HZ) and their phones."""

    pcm: npt.NDArray[np.float32]
    segments: tuple[Segment, ...]

    def word_spans_s(self, n_words: int) -> list[tuple[float, float]]:
        """Start and end of each word in seconds; a word without phones has an empty span."""
        spans: list[list[float]] = [[0.0, 0.0] for _ in range(n_words)]
        start = 0.0
        for segment in self.segments:
            if segment.word >= 0:
                span = spans[segment.word]
                if span[1] == 0.0:
                    span[0] = start
                span[1] = segment.end_s
            start = segment.end_s
        return [(a, b) for a, b in spans]


class _Library:
    """The entry points of libflite that are used here."""

    def __init__(self) -> None:
        try:
            self.core = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
            for name in ("cmulex", "usenglish"):
                c.CDLL(f"libflite_{name}.so.1", mode=c.RTLD_GLOBAL)
        except OSError as error:
            raise RuntimeError(
                f"flite's library cannot be loaded ({error}); install the system package flite"
            ) from error
        self.core.flite_init()
        pointer, string = c.c_void_p, c.c_char_p
        self.new_utterance = self._entry("new_utterance", pointer)
        self.utt_init = self._entry("utt_init", pointer, pointer, pointer)
        self.delete_utterance = self._entry("delete_utterance", None, pointer)
        self.relation_create = self._entry("utt_relation_create", pointer, pointer, string)
        self.relation_append = self._entry("relation_append", pointer, pointer, pointer)
        self.relation = self._entry("utt_relation", pointer, pointer, string)
        self.relation_head = self._entry("relation_head", pointer, pointer)
        self.item_next = self._entry("item_next", pointer, pointer)
        self.set_string = self._entry("item_set_string", None, pointer, string, string)
        self.set_float = self._entry("item_set_float", None, pointer, string, c.c_float)
        self.get_float = self._entry("item_feat_float", c.c_float, pointer, string)
        self.get_string = self._entry("item_feat_string", string, pointer, string)
        self.path_to_item = self._entry("path_to_item", pointer, pointer, string)
        self.synth_tokens = self._entry("utt_synth_tokens", pointer, pointer)
        self.wave = self._entry("utt_wave", pointer, pointer)

    def _entry(self, name: str, result: type | None, *arguments: type) -> c._NamedFuncPointer:
        function = self.core[name]
        function.restype = result
        function.argtypes = list(arguments)
        return function


@cache
def _library() -> _Library:
    return _Library()


@cache
def _voice(name: str) -> int:
    _library()
    try:
        library = c.CDLL(f"libflite_cmu_us_{name}.so.1")
    except OSError as error:
        raise RuntimeError(f"flite has no voice {name!r} ({error}); expected awb, kal, kal16, rms or slt") from error
    register = library[f"register_cmu_us_{name}"]
    register.restype = c.c_void_p
    register.argtypes = [c.c_char_p]
    return int(register(None))


def split_punctuation(word: str) -> tuple[str, str]:
    """A word and the punctuation behind it."""
    core = word.rstrip(_PUNCTUATION)
    return core, word[len(core) :]


def synthesise(voice: str, words: Sequence[str], stretch: Sequence[float] | None = None) -> Utterance:
    """Speak `words` (each with the punctuation behind it); `stretch` makes a word that many times longer.

    Raises ValueError for a word without letters or digits, RuntimeError without flite.
    """
    lib = _library()
    factors = [1.0] * len(words) if stretch is None else list(stretch)
    if len(factors) != len(words):
        raise ValueError(f"{len(words)} words but {len(factors)} stretch factors; give one for each word")
    utterance = lib.utt_init(lib.new_utterance(), _voice(voice))
    try:
        tokens = lib.relation_create(utterance, b"Token")
        for number, (word, factor) in enumerate(zip(words, factors, strict=True)):
            core, punctuation = split_punctuation(word)
            if not any(letter.isalnum() for letter in core):
                raise ValueError(f"{word!r} cannot be spoken: it has no letter or digit")
            token = lib.relation_append(tokens, None)
            lib.set_string(token, b"name", core.encode("ascii", "ignore"))
            lib.set_string(token, b"whitespace", b" ")
            lib.set_string(token, b"prepunctuation", b"")
            lib.set_string(token, b"punc", punctuation[:1].encode("ascii", "ignore"))
            lib.set_float(token, b"local_duration_stretch", factor)
            lib.set_float(token, b"word_number", float(number))
        lib.synth_tokens(utterance)
        wave = c.cast(lib.wave(utterance), c.POINTER(_Wave)).contents
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,))
        pcm = samples.astype(np.float32) / np.float32(32768)
        return Utterance(pcm, tuple(_segments(lib, utterance)))
    finally:
        lib.delete_utterance(utterance)


def _segments(lib: _Library, utterance: int) -> list[Segment]:
    found = []
    item = lib.relation_head(lib.relation(utterance, b"Segment"))
    while item:
        token = lib.path_to_item(item, _TOKEN_OF_SEGMENT)
        word = int(lib.get_float(token, b"word_number")) if token else -1
        found.append(Segment(lib.get_string(item, b"name").decode(), lib.get_float(item, b"end"), word))
        item = lib.item_next(item)
    return found
