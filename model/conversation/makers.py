"""Who writes and speaks in a session's replies: step by step, or in the recorded steps of `model.graphs`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.conversation.context import Context
from model.conversation.plain_decoding import PlainSpeaker, PlainWriter, TokenSource
from model.conversation.reply import Makers, ReplyOptions
from model.conversation.saying import ForcedWriter
from model.network.sampling import Sampling

if TYPE_CHECKING:
    from model.flash import Flash
    from model.graphs.reply import GraphSession

# Pieces of work under way: while the host looks at one, the device does the next.
GRAPH_DEPTH = 2
VOICE_SEED = 0x5DEECE66D  # the voice has its own source of chance, so that the order of the work does not matter

SEED_MASK = 0x7FFF_FFFF_FFFF_FFFF  # what a generator takes


class MakerSource:
    """One session's source of writers and speakers. Owned by the session's thread."""

    def __init__(self, flash: Flash, context: Context) -> None:
        self._flash, self._context = flash, context
        self._graphs: GraphSession | None = None

    def prepare(self, thinker: Sampling, talker: Sampling, predictor: Sampling) -> None:
        """Makes the recorded steps, if the model decodes in them. Before anything is in the caches."""
        if self._flash.graphs != "off":
            from model.graphs.reply import GraphSession

            self._graphs = GraphSession(self._flash, self._context, self._flash.graphs, thinker, talker, predictor)
            self._graphs.prepare()

    @torch.inference_mode()
    def begin(self, options: ReplyOptions, hidden: Tensor, item: int) -> Makers:
        """For one reply; `hidden` [1, H] is the Thinker's state after the assistant's header."""
        options = replace(options, seed=options.seed & SEED_MASK)
        voice_seed = options.seed ^ VOICE_SEED
        # The recorded steps do not know where a call begins, which must not be spoken.
        if self._graphs is not None and not options.finds_calls:
            return self._begin_graphs(self._graphs, options, hidden, item, voice_seed)
        flash, context = self._flash, self._context
        writer = PlainWriter(flash, context, options.thinker, hidden, options.seed, options.max_tokens, item)
        speaker = self._plain_speaker(writer, options, voice_seed) if options.speech else None
        return Makers(writer, speaker, depth=1, mute_from=writer.mute_from)

    @torch.inference_mode()
    def begin_saying(self, options: ReplyOptions, hidden: Tensor, item: int, ids: tuple[int, ...]) -> Makers:
        """The same for a text that is given: `ids`. `options.max_tokens` bounds the tokens with the holds between."""
        options = replace(options, seed=options.seed & SEED_MASK)
        voice_seed = options.seed ^ VOICE_SEED
        if self._graphs is None or not options.speech:
            writer = ForcedWriter(self._flash, self._context, hidden, ids, item, options.max_tokens)
            speaker = self._plain_speaker(writer, options, voice_seed) if options.speech else None
            return Makers(writer, speaker, depth=1)
        # The voice's recorded steps read the text from the recorded writer's buffers; it has nothing else to do.
        text = self._graphs.writer.buffers.text
        text.reset()
        writer = ForcedWriter(self._flash, self._context, hidden, ids, item, options.max_tokens, text)
        assert self._graphs.speaker is not None
        self._graphs.speaker.begin(options.voice, voice_seed)
        return Makers(writer, self._graphs.speaker, depth=1)

    def _plain_speaker(self, writer: TokenSource, options: ReplyOptions, seed: int) -> PlainSpeaker:
        return PlainSpeaker(
            self._flash, self._context, writer, options.voice, options.talker, options.predictor, seed
        )  # fmt: skip

    @staticmethod
    def _begin_graphs(
        graphs: GraphSession, options: ReplyOptions, hidden: Tensor, item: int, voice_seed: int
    ) -> Makers:
        graphs.writer.begin(hidden, options.seed, options.max_tokens, item)
        speaker = graphs.speaker if options.speech else None
        if speaker is not None:
            speaker.begin(options.voice, voice_seed)
        return Makers(graphs.writer, speaker, depth=GRAPH_DEPTH)
