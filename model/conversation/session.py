"""A conversation: it hears, sees and reads while the user speaks, replies in text and speech, and can take back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, isfinite
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from model.conversation.context import Context, Kind, Mark, TextRows
from model.conversation.events import ReplyEvent
from model.conversation.listening import Listener, TurnState
from model.conversation.makers import MakerSource
from model.conversation.reply import SPEECH_RATE_HZ, Makers, Reply, ReplyOptions, SpokenText
from model.errors import InputError
from model.memory import POSITIONS_MINIMUM
from model.network.sampling import GREEDY, Sampler, Sampling
from model.prompts import DEFAULT_INSTRUCTIONS, TRANSCRIBE_PROMPT

if TYPE_CHECKING:
    from model.flash import Flash

RATE_MIN_HZ, RATE_MAX_HZ = 4_000, 192_000
PICTURE_TOKENS = 768  # of the largest picture by default, about 880 x 880 pixels
REPLY_RESERVE = 16  # positions for headers and ends around a reply


@dataclass(frozen=True)
class SessionOptions:
    """Settings of one conversation, with every default filled in; see `Session`."""

    instructions: str
    voice: str
    audio_window_s: float
    max_positions: int
    seed: int
    thinker: Sampling
    talker: Sampling
    predictor: Sampling
    max_picture_pixels: int


@dataclass
class LastReply:
    """The reply that interrupt() may still take back."""

    mark: Mark  # before the reply
    state: TurnState  # of the user's turn before it
    header: Mark  # after the assistant's header
    spoken: SpokenText


class Session:
    """One conversation. One owning thread; while a reply() is open nothing may be called but interrupt(), which closes
    it.

    `max_positions` is the budget of the caches (default: by free memory); `seed` makes sampled replies repeat; larger
    pictures than `max_picture_pixels` are scaled down (default: to 768 positions of the Thinker). Raises InputError
    for an unknown voice or an impossible setting.
    """

    def __init__(
        self,
        flash: Flash,
        instructions: str | None = DEFAULT_INSTRUCTIONS,
        voice: str | None = None,
        *,
        audio_window_s: float = 2.0,
        max_positions: int | None = None,
        seed: int | None = None,
        thinker_sampling: Sampling | None = None,
        talker_sampling: Sampling | None = None,
        predictor_sampling: Sampling | None = None,
        max_picture_pixels: int | None = None,
    ) -> None:
        if max_positions is not None and max_positions < POSITIONS_MINIMUM:
            raise InputError(f"max_positions is {max_positions}, expected at least {POSITIONS_MINIMUM}")
        generation = flash.generation
        self.flash = flash
        self.options = options = SessionOptions(
            instructions=instructions or "",
            voice=_voice(flash, voice),
            audio_window_s=audio_window_s,
            max_positions=flash.default_positions() if max_positions is None else max_positions,
            seed=int.from_bytes(os.urandom(6), "little") if seed is None else seed,
            thinker=generation.thinker if thinker_sampling is None else thinker_sampling,
            talker=generation.talker if talker_sampling is None else talker_sampling,
            predictor=generation.predictor if predictor_sampling is None else predictor_sampling,
            max_picture_pixels=_picture_pixels(flash, max_picture_pixels),
        )
        self.context = Context(flash, options.max_positions)
        self._makers = MakerSource(flash, self.context)
        self._makers.prepare(options.thinker, options.talker, options.predictor)
        self._listener = Listener(flash, self.context, options.audio_window_s, options.max_picture_pixels)
        self._next_item = 1
        self._n_replies = 0
        self._open_reply: ReplyStream | None = None
        self._last: LastReply | None = None
        self._committed: tuple[Mark, TurnState] | None = None
        if options.instructions:
            self._read_instructions()
        self._commit_mark()

    @torch.inference_mode()
    def _read_instructions(self) -> None:
        chat = self.flash.chat
        ids = (*chat.system_header, *self.flash.encode_text(self.options.instructions), *chat.turn_end)
        self.context.prefill([TextRows(0, Kind.INSTRUCTIONS, ids, in_talker=False)])
        self.context.turn = 1

    # ---- the user's turn -----------------------------------------------------------------------------------------

    @property
    def n_positions(self) -> int:
        """Positions of the Thinker's cache in use."""
        return self.context.thinker_cache.length

    @torch.inference_mode()
    def hear(self, pcm: npt.NDArray[np.float32], rate_hz: int = 16_000) -> int:
        """Takes float32 mono samples [n] in -1..1, any n, and returns the id of the sound that they belong to.

        Raises InputError for other types, shapes or rates, NaN or infinity, and when the turn exceeds the budget.
        """
        self._check_idle("hear")
        pcm = np.asarray(pcm)
        if pcm.dtype != np.float32 or pcm.ndim != 1:
            raise InputError(f"sound is {pcm.dtype} {pcm.shape}; expected mono float32 [n]")
        if isinstance(rate_hz, bool) or not isinstance(rate_hz, int) or not RATE_MIN_HZ <= rate_hz <= RATE_MAX_HZ:
            raise InputError(f"rate_hz is {rate_hz!r}; expected an integer from {RATE_MIN_HZ} to {RATE_MAX_HZ}")
        if not np.isfinite(pcm).all():
            raise InputError("the sound holds NaN or infinity; check the capture device or the decoder")
        return self._listener.hear(pcm, rate_hz, self._new_item())

    @torch.inference_mode()
    def see(self, rgb: npt.NDArray[np.uint8], at_s: float = 0.0) -> int:
        """Takes a picture uint8 [H, W, 3] of second `at_s` of this turn's sound; returns its id."""
        self._check_idle("see")
        rgb = np.asarray(rgb)
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise InputError(f"the picture is {rgb.dtype} {rgb.shape}; expected uint8 [height, width, 3] in RGB")
        if not isfinite(at_s) or at_s < 0:
            raise InputError(f"at_s is {at_s!r}; expected seconds since the start of this turn's sound, 0 or more")
        return self._listener.see(rgb, float(at_s), self._new_item())

    @torch.inference_mode()
    def read(self, text: str, role: str = "user") -> int:
        """Takes typed text of the user's turn, or an earlier reply (role="assistant"); returns its id."""
        self._check_idle("read")
        if role not in ("user", "assistant"):
            raise InputError(f"role is {role!r}; expected 'user' or 'assistant'")
        ids = self.flash.encode_text(text)
        if not ids:
            raise InputError("the text is empty; give at least one character")
        item = self._new_item()
        self._listener.read(ids, item, role)
        if role == "assistant":
            self._forget_last()
        self._commit_mark()
        return item

    @torch.inference_mode()
    def commit(self) -> None:
        """Closes the open span: pads the last partial window, reads the pictures that wait."""
        self._check_idle("commit")
        self._listener.commit()
        self._commit_mark()

    def clear(self) -> None:
        """Drops what was heard and seen since the last commit() or reply()."""
        self._check_idle("clear")
        self._listener.drop_inputs()
        if self._committed is not None:
            mark, state = self._committed
            self.context.restore(mark)
            self._listener.state = state

    def forget(self, item: int) -> None:
        """Removes one item (a sound, a picture, a text, a reply) from the conversation. Nothing is computed again.

        Raises InputError when there is no such item (any more).
        """
        self._check_idle("forget")
        waiting = self._listener.forget_waiting(item)
        numbers = [number for number, piece in enumerate(self.context.pieces) if piece.item == item]
        if not numbers and not waiting:
            raise InputError(f"there is no item {item!r} in the conversation; it was forgotten or evicted before")
        if self._last is not None and self._last.spoken.item == item:
            self._forget_last()
        self.context.drop(numbers)

    # ---- replying ------------------------------------------------------------------------------------------------

    def reply(
        self, *, max_tokens: int | None = None, speech: bool = True, max_frames: int | None = None
    ) -> ReplyStream:
        """Replies to the user's turn: yields TextDelta and SpeechDelta as they are made, then ReplyDone.

        Closing it cancels the reply; what was generated stays until interrupt() shortens it. Raises
        InputError when there is nothing to reply to.
        """
        self._check_idle("reply")
        generation = self.flash.generation
        max_tokens = generation.max_tokens if max_tokens is None else max_tokens
        max_frames = generation.max_frames if max_frames is None else max_frames
        if max_tokens < 1 or max_frames < 1:
            raise InputError(f"max_tokens is {max_tokens} and max_frames {max_frames}; expected 1 or more")
        started_s = perf_counter()
        with torch.inference_mode():
            self._listener.commit()
            if self._listener.state.role != "user":
                self._commit_mark()
                raise InputError("there is nothing to reply to; call hear(), see() or read() first")
            reply = self._begin(max_tokens, max_frames, speech and self.flash.talker is not None, started_s)
        self._open_reply = ReplyStream(self, reply)
        return self._open_reply

    def _begin(self, max_tokens: int, max_frames: int, speech: bool, started_s: float) -> Reply:
        context = self.context
        room = context.max_positions - REPLY_RESERVE
        max_tokens = max(1, min(max_tokens, room // 2))
        context.make_room(max_tokens + REPLY_RESERVE)
        self._forget_last()
        mark, state = context.mark(), self._listener.state
        self._listener.open_assistant()
        hidden = context.prefill([])
        spoken = SpokenText(self._new_item(), is_aligned=self.flash.is_time_aligned)
        self._last = LastReply(mark, state, context.mark(), spoken)
        options = self.options
        if self.flash.graphs != "off":  # their buffers have a fixed size
            max_frames = min(max_frames, self.flash.generation.max_frames)
        reply_options = ReplyOptions(
            voice=options.voice,
            max_tokens=max_tokens,
            max_frames=max_frames,
            speech=speech,
            thinker=options.thinker,
            talker=options.talker,
            predictor=options.predictor,
            seed=options.seed + 0x9E3779B97F4A7C15 * self._n_replies,
        )
        self._n_replies += 1
        makers = self._makers.begin(reply_options, hidden, spoken.item)
        return Reply(self.flash, reply_options, makers, spoken, started_s)

    def _end_reply(self) -> None:
        # The Talker keeps user turns only; the reply's own rows are not in the ledger.
        self.context.trim_talker()
        self._listener.end_assistant()
        self._open_reply = None
        self._commit_mark()

    def interrupt(self, heard_ms: float) -> str:
        """Shortens the last reply to what was heard of it and returns that text.

        0: the reply never existed and the user's turn is open again; the same when nothing of its text was heard yet.
        Closes a reply that is still being made. Raises InputError when there is no reply to shorten.
        """
        if not isfinite(heard_ms) or heard_ms < 0:
            raise InputError(f"heard_ms is {heard_ms!r}; expected milliseconds of speech that were heard, 0 or more")
        if self._open_reply is not None:
            self._open_reply.close()
        last = self._last
        if last is None:
            raise InputError("there is no reply to interrupt; call reply() first")
        kept = last.spoken.tokens_heard(self._heard_frames(heard_ms, last.spoken)) if heard_ms else 0
        if self._reply_is_last(last):
            self._shorten(last, kept)
        else:
            self._cut_out(last, kept)
        text = self._keep_text(last.spoken, kept)
        if not kept:
            self._forget_last()
        return text

    def _shorten(self, last: LastReply, kept: int) -> None:
        """Nothing came after the reply: go back to the exact state without its unheard part."""
        context = self.context
        if kept:
            context.restore(last.header)
            context.readmit(last.spoken.item, Kind.REPLY, kept)
            self._listener.end_assistant()
        else:
            context.restore(last.mark)
            self._listener.state = last.state
        self._commit_mark()

    def _cut_out(self, last: LastReply, kept: int) -> None:
        """The user has spoken since: cut the unheard rows out, leave what came later as it is."""
        context = self.context
        pieces = context.pieces
        number = next((n for n, piece in enumerate(pieces) if piece.item == last.spoken.item), None)
        if number is None:
            raise InputError("the reply has been evicted from the conversation already")
        if kept:
            context.shorten(number, min(kept, pieces[number].n_thinker))
            return
        # Without the reply two user turns become one: also cut the headers between them.
        end = number + 1
        while end < len(pieces) and pieces[end].kind is Kind.FRAME:
            end += 1
        context.drop(range(last.mark.n_pieces, end))

    def _reply_is_last(self, last: LastReply) -> bool:
        return last.header.is_valid and all(
            piece.item == last.spoken.item for piece in self.context.pieces[last.header.n_pieces :]
        )

    def _heard_frames(self, heard_ms: float, spoken: SpokenText) -> int:
        """Codec frames begun within the first `heard_ms` of the speech."""
        if not spoken.n_frames or self.flash.config.code2wav is None:
            return spoken.n_frames
        per_frame = self.flash.config.code2wav.samples_per_frame
        missing = per_frame - spoken.first_samples  # the first frame is shorter
        samples = heard_ms * SPEECH_RATE_HZ / 1000
        return min(spoken.n_frames, ceil((samples + missing) / per_frame))

    def _keep_text(self, spoken: SpokenText, kept: int) -> str:
        spoken.tokens, spoken.n_letters = spoken.tokens[:kept], spoken.n_letters[:kept]
        spoken.text = spoken.text[: spoken.n_letters[-1]] if spoken.n_letters else ""
        return spoken.text

    # ---- side questions --------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def transcribe_user(self, *, max_tokens: int = 256) -> str:
        """What the user said in the last turn, word by word, from a fork of the cache.

        The conversation is untouched, except that an open turn is committed first. Works before and after the reply.
        Raises InputError when the user has not said anything.
        """
        self._check_idle("transcribe_user")
        if self._listener.state.role == "user":
            self.commit()
            assert self._committed is not None
            mark = self._committed[0]
        elif self._last is not None and self._last.mark.is_valid:
            mark = self._last.mark
        else:
            raise InputError("there is no user turn to transcribe; call hear() first")
        return self._ask_fork(mark, TRANSCRIBE_PROMPT, max_tokens)

    def _ask_fork(self, mark: Mark, prompt: str, max_tokens: int) -> str:
        flash, cache = self.flash, self.context.thinker_cache
        chat = flash.chat
        pending = list(mark.pending)
        position = mark.thinker_position + sum(part.jump for part in pending)
        ids = [number for part in pending for number in part.ids]
        ids += [*flash.encode_text(prompt), *chat.turn_end, *chat.assistant_header]
        if flash.has_fixed_caches:
            max_tokens = min(max_tokens, cache.capacity - cache.length - len(ids))
        sampler = Sampler(GREEDY, flash.config.thinker.text.vocab_size, flash.generator(0))
        tokens: list[int] = []
        with cache.fork(self.context.rows_before(mark.n_pieces)):
            x = flash.thinker.embed(torch.tensor(ids, device=flash.device))
            rope = flash.thinker_rope.text(position, len(ids))
            hidden = flash.thinker(x, rope, cache, capture=False).hidden[-1:]
            position += len(ids)
            while len(tokens) < max_tokens:
                token = sampler(flash.thinker.logits(hidden)[0])
                number = int(token)
                if number in flash.generation.stop_ids:
                    break
                tokens.append(number)
                rope = flash.thinker_rope.text(position, 1)
                hidden = flash.thinker(flash.thinker.embed(token), rope, cache, capture=False).hidden
                position += 1.0
        return flash.tokenizer.decode(tokens).strip()

    # ---- bookkeeping -----------------------------------------------------------------------------------------------

    def _check_idle(self, what: str) -> None:
        if self._open_reply is not None:
            raise InputError(f"{what}() while a reply is being made; finish its events, close() it or call interrupt()")

    def _new_item(self) -> int:
        self._next_item += 1
        return self._next_item - 1

    def _forget_last(self) -> None:
        if self._last is not None:
            self.context.release(self._last.mark)
            self.context.release(self._last.header)
            self._last = None

    def _commit_mark(self) -> None:
        if self._committed is not None:
            self.context.release(self._committed[0])
        self._committed = (self.context.mark(), self._listener.state)


class ReplyStream:
    """The events of one reply. Iterate it, or `close()` it at any time (twice is fine)."""

    def __init__(self, session: Session, reply: Reply) -> None:
        self._session: Session | None = session
        self._events = reply.run()
        self._reply = reply

    def __iter__(self) -> Iterator[ReplyEvent]:
        return self

    def __next__(self) -> ReplyEvent:
        if self._session is None:
            raise StopIteration
        try:
            return next(self._events)
        except BaseException:  # whatever ended it, the conversation must be left in order
            self.close()
            raise

    @property
    def makers(self) -> Makers:
        """Who writes and speaks in this reply."""
        return self._reply.makers

    @property
    def lead_s(self) -> float:
        """Seconds of speech that were made and, played from the first sample on, have not been heard yet."""
        return self._reply.lead_s

    def close(self) -> None:
        """Cancels what is left of the reply."""
        session, self._session = self._session, None
        if session is not None:
            self._events.close()
            session._end_reply()


def _voice(flash: Flash, voice: str | None) -> str:
    """The voice asked for, or the default one; "" when the checkpoint cannot speak."""
    if voice is None:
        return flash.voices[0] if flash.voices else ""
    if flash.voices and voice.lower() not in {name.lower() for name in flash.voices}:
        raise InputError(f"voice is {voice!r}; this checkpoint speaks as {', '.join(flash.voices)}")
    return voice


def _picture_pixels(flash: Flash, asked: int | None) -> int:
    """The area that larger pictures are scaled down to."""
    settings = flash.image_settings
    if asked is None:
        vision = flash.config.thinker.vision
        return min(settings.max_pixels, PICTURE_TOKENS * (vision.patch_size * vision.spatial_merge_size) ** 2)
    if asked < settings.min_pixels:
        raise InputError(f"max_picture_pixels is {asked}, expected {settings.min_pixels} or more")
    return asked
