"""Text to token ids and back, and the tokens that frame a conversation.

Files: tokenizer.json, or vocab.json, merges.txt and the added tokens of tokenizer_config.json as the published
30B-A3B checkpoint has them. The chat layout is the published template's:
`<|im_start|>system\\n…<|im_end|>\\n<|im_start|>user\\n…<|im_end|>\\n<|im_start|>assistant\\n…`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from model.checkpoint.config import UNSAID, ModelConfig
from model.checkpoint.json_file import read_section, read_text
from model.errors import ConfigError, InputError

# Qwen2's split into words, for checkpoints without tokenizer.json.
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


_PARTS_HELP = "a checkpoint needs tokenizer.json, or vocab.json, merges.txt and tokenizer_config.json"


class Tokenizer:
    """Byte-level BPE. Text never turns into control tokens: "<|im_end|>" typed by a user is seven ordinary pieces."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._backend.encode_special_tokens = True  # encode control tokens as the text that they look like
        self._special = {number for number, token in backend.get_added_tokens_decoder().items() if token.special}
        self._byte_of = _byte_of_letter()

    @classmethod
    def load(cls, directory: Path | str) -> Tokenizer:
        """The tokenizer of a checkpoint directory. Raises ConfigError naming the file that is missing or broken."""
        directory = Path(directory)
        whole = directory / "tokenizer.json"
        if whole.exists():
            try:
                return cls(Backend.from_str(read_text(whole)))
            except (ConfigError, KeyboardInterrupt, SystemExit):
                raise
            # The backend raises a plain Exception, or panics with a BaseException, for malformed content.
            except BaseException as error:
                raise ConfigError(f"{whole} is no tokenizer ({_first_line(error)}); download it again") from error
        return cls(_from_parts(directory))

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text. Raises InputError for half a surrogate pair, which is no text."""
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"the text has {text[error.start]!r} at {error.start}, which is no character") from error
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without control tokens."""
        detokenizer = self.detokenizer()
        return "".join([*map(detokenizer.push, ids), detokenizer.finish()])

    def id_of(self, token: str) -> int:
        """Id of a token by its exact name. Raises ConfigError if there is none."""
        number = self._backend.token_to_id(token)
        if number is None:
            raise ConfigError(f"the tokenizer has no token {token!r}; use the tokenizer published with this checkpoint")
        return int(number)

    def has(self, token: str) -> bool:
        """Whether there is a token of exactly this name."""
        return self._backend.token_to_id(token) is not None

    def is_special(self, token_id: int) -> bool:
        """Whether an id is a control token."""
        return token_id in self._special

    @property
    def size(self) -> int:
        """Number of ids."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    def bytes_of(self, token_id: int) -> bytes:
        """The UTF-8 bytes that a token stands for; empty for control tokens and ids without a token."""
        token = self._backend.id_to_token(token_id)
        if token is None or token_id in self._special:
            return b""
        if all(letter in self._byte_of for letter in token):
            return bytes(self._byte_of[letter] for letter in token)
        return token.encode("utf-8")  # an added token is plain text

    def detokenizer(self) -> Detokenizer:
        """For the text of one reply, token by token."""
        return Detokenizer(self)


class Detokenizer:
    """Token ids in, text out, never half a character. Owned by one thread."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The text that is certain after one more token; may be empty."""
        return self._decoder.decode(self._tokenizer.bytes_of(token_id))

    def finish(self) -> str:
        """What an unfinished character leaves at the end ("\\ufffd" or nothing); then it is new."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


@dataclass(frozen=True)
class ChatTokens:
    """Token ids around the turns of a conversation."""

    system_header: tuple[int, ...]  # <|im_start|>system\n
    user_header: tuple[int, ...]
    assistant_header: tuple[int, ...]
    turn_end: tuple[int, ...]  # <|im_end|>\n

    @classmethod
    def of(cls, tokenizer: Tokenizer, config: ModelConfig) -> ChatTokens:
        """The layout of a checkpoint; raises ConfigError where tokenizer and config.json disagree about an id."""
        roles = {
            "system": config.system_token_id,
            "user": config.user_token_id,
            "assistant": config.assistant_token_id,
        }
        headers = {}
        for role, expected in roles.items():
            ids = tokenizer.encode(f"{role}\n")
            if len(ids) != 2 or ids[0] != expected:
                raise ConfigError(
                    f"the tokenizer makes {ids} of {role!r} and a line break, but config.json has id {expected}; "
                    "use the tokenizer published with this checkpoint"
                )
            headers[role] = (config.im_start_token_id, *ids)
        check_control_tokens(tokenizer, config)
        return cls(
            headers["system"],
            headers["user"],
            headers["assistant"],
            (config.im_end_token_id, *tokenizer.encode("\n")),
        )


def with_chat_ids(config: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    """`config` with the ids that only the tokenizer says. Raises ConfigError when it has no such token."""
    if config.im_start_token_id != UNSAID:
        return config
    return replace(
        config,
        im_start_token_id=tokenizer.id_of("<|im_start|>"),
        im_end_token_id=tokenizer.id_of("<|im_end|>"),
        system_token_id=tokenizer.encode("system\n")[0],
        user_token_id=tokenizer.encode("user\n")[0],
        assistant_token_id=tokenizer.encode("assistant\n")[0],
    )


def check_control_tokens(tokenizer: Tokenizer, config: ModelConfig) -> None:
    """Raises ConfigError if a control token of the tokenizer has another id in config.json."""
    thinker = config.thinker
    expected = {
        "<|im_start|>": config.im_start_token_id,
        "<|im_end|>": config.im_end_token_id,
        "<|audio_pad|>": thinker.audio_token_id,
        "<|image_pad|>": thinker.image_token_id,
        "<|video_pad|>": thinker.video_token_id,
        "<|audio_start|>": thinker.audio_start_token_id,
        "<|audio_end|>": thinker.audio_end_token_id,
        "<|vision_start|>": thinker.vision_start_token_id,
        "<|vision_end|>": thinker.vision_end_token_id,
    }
    for token, number in expected.items():
        if number is not None and tokenizer.id_of(token) != number:
            raise ConfigError(
                f"{token} is {tokenizer.id_of(token)} in the tokenizer and {number} in config.json; "
                "use the tokenizer published with this checkpoint"
            )


def _byte_of_letter() -> dict[str, int]:
    """The letters that byte-level BPE writes bytes with: printable ones as themselves, the others from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [number for number in range(256) if number not in printable]
    letters = {chr(number): number for number in printable}
    letters.update({chr(256 + place): number for place, number in enumerate(others)})
    return letters


def _from_parts(directory: Path) -> Backend:
    vocab = _json(directory / "vocab.json")
    settings = _json(directory / "tokenizer_config.json")
    merges_path = directory / "merges.txt"
    lines = _text(merges_path).splitlines()
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    merges = []
    for line in filter(None, lines):
        pair = line.split(" ")
        if len(pair) != 2:
            raise ConfigError(f"{merges_path}: {line!r} is no pair of pieces; download it again")
        merges.append((pair[0], pair[1]))
    try:
        backend = Backend(models.BPE(vocab=vocab, merges=merges))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the backend raises a plain Exception for any mismatch, or panics
        raise ConfigError(
            f"{directory}: vocab.json and merges.txt do not match ({_first_line(error)}); download both again"
        ) from error
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    _add_tokens(backend, settings.get("added_tokens_decoder") or {}, directory / "tokenizer_config.json")
    return backend


def _add_tokens(backend: Backend, added: Any, path: Path) -> None:
    if not isinstance(added, dict):
        raise ConfigError(f"{path}: added_tokens_decoder is no object; download it again")
    for key in added:
        if not key.isdecimal() or len(key) > 9:
            raise ConfigError(f"{path}: added_tokens_decoder has the id {key!r}; download it again")
    for number, token in sorted(((int(key), value) for key, value in added.items()), key=lambda item: item[0]):
        if not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise ConfigError(f"{path}: added token {number} has no content; download it again")
        flags = {
            flag: bool(token.get(flag, False)) for flag in ("lstrip", "rstrip", "normalized", "single_word", "special")
        }
        backend.add_tokens([AddedToken(token["content"], **flags)])
        if backend.token_to_id(token["content"]) != number:
            raise ConfigError(
                f"{path}: {token['content']!r} should have id {number}, but after vocab.json it gets "
                f"{backend.token_to_id(token['content'])}; the files do not belong together"
            )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _json(path: Path) -> dict[str, Any]:
    return dict(read_section(path, _PARTS_HELP).data)


def _text(path: Path) -> str:
    return read_text(path, _PARTS_HELP)
