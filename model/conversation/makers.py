"""Who writes and speaks in a session's replies: step by step, or in the recorded steps of `model.graphs`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.conversation.context import Context
from model.conversation.plain_decoding import PlainSpeaker, PlainWriter
from model.conversation.reply import Makers, ReplyOptions
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
        if self._graphs is not None:
            return self._begin_graphs(self._graphs, options, hidden, item, voice_seed)
        flash, context = self._flash, self._context
        writer = PlainWriter(flash, context, options.thinker, hidden, options.seed, options.max_tokens, item)
        speaker = None
        if options.speech:
            speaker = PlainSpeaker(flash, context, writer, options.voice, options.talker, options.predictor, voice_seed)
        return Makers(writer, speaker, depth=1)

    @staticmethod
    def _begin_graphs(
        graphs: GraphSession, options: ReplyOptions, hidden: Tensor, item: int, voice_seed: int
    ) -> Makers:
        graphs.writer.begin(hidden, options.seed, options.max_tokens, item)
        speaker = graphs.speaker if options.speech else None
        if speaker is not None:
            speaker.begin(options.voice, voice_seed)
        return Makers(graphs.writer, speaker, depth=GRAPH_DEPTH)
