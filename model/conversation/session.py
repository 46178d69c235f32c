"""A conversation: it hears, sees and reads while the user speaks, replies in text and speech, and can take back."""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.conversation.calls import prose_of
from model.conversation.context import Context, Kind, Mark, TextRows
from model.conversation.events import ReplyDone, ReplyEvent, ReplyStats, SpeechDelta
from model.conversation.listening import TurnListener, TurnState
from model.conversation.makers import MakerSource
from model.conversation.pacing import Pacer
from model.conversation.reply import Makers, ReplyMaker, ReplyOptions, SpokenText
from model.conversation.saying import HOLDS_PER_TOKEN_BOUND, ForcedWriter, stretches_of
from model.conversation.transcription import Transcription
from model.errors import InputError
from model.memory import POSITIONS_MINIMUM
from model.network.sampling import Sampling
from model.prompts import DEFAULT_INSTRUCTIONS

if TYPE_CHECKING:
    from model.flash import Flash

RATE_MIN_HZ, RATE_MAX_HZ = 4_000, 192_000
PICTURE_TOKENS = 768  # of the largest picture by default, about 880 x 880 pixels
REPLY_RESERVE = 16  # positions for headers and ends around a reply
TEXTS_KEPT = 256  # replies that can still be shortened


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
        self.context = Context(flash, options.max_positions, generation.conversation_turns)
        self._makers = MakerSource(flash, self.context)
        self._makers.prepare(options.thinker, options.talker, options.predictor)
        self._listener = TurnListener(flash, self.context, options.audio_window_s, options.max_picture_pixels)
        self._next_item = 1
        self._n_replies = 0
        self._open_reply: ReplyStream | None = None
        self._pacer: Pacer[SpeechDelta] = Pacer()
        self._last: LastReply | None = None
        self._committed: tuple[Mark, TurnState] | None = None
        self._texts: OrderedDict[int, SpokenText] = OrderedDict()
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
    def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> int:
        """Takes typed text of the user's turn, or an earlier reply (role="assistant"); returns its id.

        `goes_on`: of a reply, more of the one that was read last; a long text can be read piece by piece.
        """
        self._check_idle("read")
        if role not in ("user", "assistant"):
            raise InputError(f"role is {role!r}; expected 'user' or 'assistant'")
        ids = self.flash.encode_text(text)
        if not ids:
            raise InputError("the text is empty; give at least one character")
        if role == "assistant" and goes_on and self._texts:
            item = next(reversed(self._texts))
        else:
            goes_on, item = False, self._new_item()
        self._listener.read(ids, item, role, goes_on=goes_on)
        if role == "assistant":
            self._forget_last()
            self._remember_text(item, ids)
        self._commit_mark()
        return item

    def _remember_text(self, item: int, ids: tuple[int, ...]) -> None:
        """A reply that was read, so that it can be shortened like one that was made here."""
        spoken = self._texts.get(item) or SpokenText(item, is_aligned=False)
        detokenizer = self.flash.tokenizer.detokenizer()
        for number in ids:
            spoken.text += detokenizer.push(number)
            spoken.tokens.append(number)
            spoken.n_letters.append(len(spoken.text))
        self._keep_spoken(spoken)

    def _keep_spoken(self, spoken: SpokenText) -> None:
        self._texts[spoken.item] = spoken
        self._texts.move_to_end(spoken.item)
        while len(self._texts) > TEXTS_KEPT:
            self._texts.popitem(last=False)

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
        self,
        *,
        max_tokens: int | None = None,
        speech: bool = True,
        max_frames: int | None = None,
        unasked: bool = False,
        tools: bool = False,
        opening: str = "",
    ) -> ReplyStream:
        """Replies to the user's turn: yields TextDelta and SpeechDelta as they are made, then ReplyDone.

        `unasked`: also when the user has said nothing new. `tools`: the instructions offer tools; calls come as
        CallMade and are neither spoken nor part of the text. `opening`: what the reply begins with (of a call).
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
        speech = speech and self.flash.talker is not None and not opening
        with torch.inference_mode():
            self._listener.commit()
            if self._listener.state.role != "user" and not unasked:
                self._commit_mark()
                raise InputError("there is nothing to reply to; call hear(), see() or read() first")
            ids = self.flash.encode_text(opening) if opening else ()
            spoken, options, hidden = self._begin(max_tokens, max_frames, speech, ids)
            options = replace(options, finds_calls=tools, opening=opening)
            spoken.has_calls = tools
            makers = self._makers.begin(options, hidden, spoken.item)
            reply = ReplyMaker(self.flash, options, makers, spoken, started_s, self._pacer)
        self._open_reply = ReplyStream(self, reply, reply.run())
        return self._open_reply

    def say(self, text: str, *, speech: bool = True) -> ReplyStream:
        """Speaks this text exactly, as a reply whose words are given: the same events, and it can be cut like one.

        Long texts are spoken sentence by sentence. Raises InputError for an empty text and one that does not fit the
        budget of positions.
        """
        self._check_idle("say")
        parts = [self.flash.encode_text(part) for part in stretches_of(text)]
        if not text.strip() or not any(parts):
            raise InputError("the text is empty; give at least one character")
        # Of time-aligned text the holds take places, too.
        bound = HOLDS_PER_TOKEN_BOUND if self.flash.is_time_aligned else 1
        bounds = [bound * len(part) + REPLY_RESERVE for part in parts]
        room = self.context.max_positions - REPLY_RESERVE
        n_least = sum(len(part) for part in parts) * (2 if self.flash.is_time_aligned else 1)
        if n_least > room // 2:
            raise InputError(
                f"the text needs about {n_least} positions and {room // 2} are there for a reply; say it in pieces, "
                "or open the session with a larger max_positions"
            )
        started_s = perf_counter()
        with torch.inference_mode():
            self._listener.commit()
            n_tokens = min(sum(bounds), room // 2)
            speech = speech and self.flash.talker is not None
            spoken, options, hidden = self._begin(n_tokens, self.flash.generation.max_frames, speech, ())
            first = self._stretch(parts[0], bounds[0], options, hidden, spoken, started_s)
        events = self._saying(first, list(zip(parts, bounds, strict=True))[1:], options, started_s)
        self._open_reply = ReplyStream(self, first, events)
        return self._open_reply

    def _stretch(
        self,
        ids: tuple[int, ...],
        bound: int,
        options: ReplyOptions,
        hidden: Tensor,
        spoken: SpokenText,
        started_s: float,
    ) -> ReplyMaker:
        options = replace(options, max_tokens=bound)
        makers = self._makers.begin_saying(options, hidden, spoken.item, ids)
        return ReplyMaker(self.flash, options, makers, spoken, started_s, self._pacer)

    def _saying(
        self, reply: ReplyMaker, later: list[tuple[tuple[int, ...], int]], options: ReplyOptions, started_s: float
    ) -> Generator[ReplyEvent, None, None]:
        """The events of all stretches as those of one reply."""
        stats: list[ReplyStats] = []
        spoken = reply.spoken
        while True:
            for event in reply.run():
                if isinstance(event, ReplyDone):
                    stats.append(event.stats)
                else:
                    yield event
            if not later:
                break
            ids, bound = later.pop(0)
            self.context.trim_talker()  # the voice begins anew
            spoken.begin_stretch()
            spoken.is_complete = False
            writer = reply.makers.writer
            assert isinstance(writer, ForcedWriter)
            reply = self._stretch(ids, bound, options, writer.hidden, spoken, started_s)
        yield ReplyDone(spoken.item, spoken.text, _joined(stats))

    def _begin(
        self, max_tokens: int, max_frames: int, speech: bool, opening: tuple[int, ...]
    ) -> tuple[SpokenText, ReplyOptions, Tensor]:
        """Opens the assistant's turn; gives the Thinker's hidden state [1, H] behind its header and the opening."""
        context, options = self.context, self.options
        room = context.max_positions - REPLY_RESERVE
        max_tokens = max(1, min(max_tokens, room // 2))
        context.make_room(max_tokens + len(opening) + REPLY_RESERVE)
        self._forget_last()
        mark, state = context.mark(), self._listener.state
        self._listener.open_assistant()
        hidden = context.prefill([])
        waves = self.flash.config.code2wav
        spoken = SpokenText(
            self._new_item(),
            is_aligned=self.flash.is_time_aligned,
            samples_per_frame=waves.samples_per_frame if waves is not None else 1,
        )
        self._last = LastReply(mark, state, context.mark(), spoken)
        if opening:
            hidden = context.prefill([TextRows(spoken.item, Kind.REPLY, opening, in_talker=False)])
            self._remember_opening(spoken, opening)
        self._keep_spoken(spoken)
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
        return spoken, reply_options, hidden

    def _remember_opening(self, spoken: SpokenText, ids: tuple[int, ...]) -> None:
        detokenizer = self.flash.tokenizer.detokenizer()
        for number in ids:
            spoken.text += detokenizer.push(number)
            spoken.tokens.append(number)
            spoken.n_letters.append(len(spoken.text))

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
        kept = last.spoken.tokens_heard(last.spoken.frames_heard(heard_ms)) if heard_ms else 0
        return self._cut(last, kept)

    def shorten(self, item: int, n_letters: int) -> str:
        """Keeps of any reply (made or read here) what lies within its first letters; returns the text that stays.

        0: nothing of it stays, its turn does. Raises InputError when there is no such reply (any more).
        """
        self._check_idle("shorten")
        spoken = self._texts.get(item)
        number = next((n for n, piece in enumerate(self.context.pieces) if piece.item == item), None)
        if spoken is None or number is None:
            raise InputError(f"there is no reply {item!r} to shorten; it was forgotten or evicted before")
        kept = sum(1 for end in spoken.n_letters if end <= n_letters)
        if self._last is not None and self._last.spoken.item == item and kept:
            return self._cut(self._last, kept)
        if kept < len(spoken.tokens):
            self._forget_last_of(item)
            self.context.shorten(number, min(kept, self.context.pieces[number].n_thinker))
        return self._keep_text(spoken, kept)

    def _forget_last_of(self, item: int) -> None:
        if self._last is not None and self._last.spoken.item == item:
            self._forget_last()

    def _cut(self, last: LastReply, kept: int) -> str:
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
            if context.max_turns is not None:  # the new turn has made the checkpoint forget it: nothing is left to cut
                return
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

    def _keep_text(self, spoken: SpokenText, kept: int) -> str:
        spoken.tokens, spoken.n_letters = spoken.tokens[:kept], spoken.n_letters[:kept]
        spoken.text = spoken.text[: spoken.n_letters[-1]] if spoken.n_letters else ""
        return prose_of(spoken.text) if spoken.has_calls else spoken.text

    # ---- side questions --------------------------------------------------------------------------------------------

    def transcribe_user(self, *, max_tokens: int = 256) -> str:
        """What the user said in the last turn, word by word, from a fork of the cache.

        The conversation is untouched, except that an open turn is committed first. Works before and after the reply.
        Raises InputError when the user has not said anything.
        """
        with contextlib.closing(self.transcription(max_tokens=max_tokens)) as transcription:
            while (words := transcription.step(max_tokens)) is None:
                pass
        return words

    def transcription(self, *, max_tokens: int = 256) -> Transcription:
        """The same a few tokens at a time; until it is complete or closed nothing else may be called."""
        self._check_idle("transcribe_user")
        if self._listener.state.role == "user" or self._listener.has_inputs:
            self.commit()
        if self._listener.state.role == "user":
            assert self._committed is not None
            mark = self._committed[0]
        elif self._last is not None and self._last.mark.is_valid:
            mark = self._last.mark
        else:
            raise InputError("there is no user turn to transcribe; call hear() first")
        return Transcription(self.flash, self.context, mark, max_tokens)

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

    def __init__(self, session: Session, reply: ReplyMaker, events: Generator[ReplyEvent, None, None]) -> None:
        self._session: Session | None = session
        self._events = events
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
    def item(self) -> int:
        """The id of the reply."""
        return self._reply.spoken.item

    @property
    def letters_heard(self) -> Callable[[float], int]:
        """Says how many letters of the text were spoken in the first ms of the speech; keeps no session alive."""
        return self._reply.spoken.letters_heard

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


def _joined(stats: list[ReplyStats]) -> ReplyStats:
    """Of a reply that was made in several stretches; the stops are the first that are no plain end."""
    first, last = stats[0], stats[-1]
    return replace(
        last,
        first_text_s=first.first_text_s,
        first_speech_s=first.first_speech_s,
        first_token_s=first.first_token_s,
        thinker_s=sum(part.thinker_s for part in stats),
        talker_s=sum(part.talker_s for part in stats),
        code2wav_s=sum(part.code2wav_s for part in stats),
        stop=next((part.stop for part in stats if part.stop != "end"), "end"),
        speech_stop=next((part.speech_stop for part in stats if part.speech_stop != "end"), "end"),
    )
