"""Writing and speaking with recorded steps: the host asks for work, goes on, and looks at the results later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model.conversation.decoding import Samples, Spoken, Ticket, Written
from model.errors import InputError
from model.graphs.decoder import window_for
from model.graphs.runner import Runner, new_runner
from model.graphs.speaking import SpeakingBuffers, SpeakingStep
from model.graphs.waves import WaveBuffers, WaveStep
from model.graphs.writing import WritingBuffers, WritingStep
from model.network.sampling import Sampling

if TYPE_CHECKING:
    from model.conversation.context import Context
    from model.flash import Flash
    from model.network.cache import KVCache

WAVE_BATCHES = (8, 4, 2, 1)  # frames that Code2Wav turns into sound at once
SLACK = 16  # places for what is asked for beyond an end that the host has not seen yet

Call = Callable[[], None]


class Readback:
    """Small results on their way to the host; the device does not wait for it."""

    def __init__(self, tensors: list[Tensor]) -> None:
        if tensors and tensors[0].is_cuda:
            self._copies = [torch.empty(t.shape, dtype=t.dtype, pin_memory=True) for t in tensors]
            for copy, tensor in zip(self._copies, tensors, strict=True):
                copy.copy_(tensor, non_blocking=True)
            self._arrived: torch.cuda.Event | None = torch.cuda.Event()
            self._arrived.record()
        else:
            self._copies = [tensor.clone() for tensor in tensors]
            self._arrived = None

    def get(self) -> list[Tensor]:
        """Waits for them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._copies


class GraphWriter:
    """The Thinker's recorded steps of one session, one for each size of window on its cache."""

    def __init__(self, flash: Flash, context: Context, sampling: Sampling, runner: Runner) -> None:
        self._flash, self._context, self._runner = flash, context, runner
        self.buffers = WritingBuffers(flash, sampling, context.max_positions + SLACK)
        self._calls: dict[int, Call] = {}
        self._place = 0
        self._asked = 0  # tokens of this reply, those that were not looked at yet included
        self._n_seen = self._max_tokens = self._item = 0
        self.seconds = 0.0

    def begin(self, hidden: Tensor, seed: int, max_tokens: int, item: int) -> None:
        """A new reply, from the hidden state [1, H] after the assistant's header."""
        work, context = self.buffers, self._context
        self._place = _kept_at(context.thinker_cache, self._place, self._calls)
        work.text.reset()
        work.sampler.reset()
        work.generator.manual_seed(seed)
        work.hidden.copy_(hidden)
        work.position.fill_(context.thinker_position)
        work.length.fill_(context.thinker_cache.length)
        self._asked = self._n_seen = 0
        self._max_tokens, self._item = max_tokens, item
        self.seconds = 0.0

    def prepare(self) -> None:
        """Records the first step, so that the first reply need not wait for it."""
        cache = self._context.thinker_cache
        self._place = _kept_at(cache, self._place, self._calls)
        self.buffers.length.fill_(cache.length)  # recording writes a row there
        self._step(window_for(cache.length + 1, cache))

    def write(self, count: int) -> Ticket[Written]:
        """Asks for `count` tokens."""
        clock = perf_counter()
        text = self.buffers.text
        count = min(count, self._max_tokens - self._asked)
        n_rows = self._context.thinker_cache.length + self._asked - self._n_seen + count + 1
        if count > 0:
            step = self._step(window_for(n_rows, self._context.thinker_cache))
            for _ in range(count):
                step()
        start, self._asked = self._asked, self._asked + max(count, 0)
        is_cut = self._asked >= self._max_tokens
        read = Readback([text.tokens[start : self._asked], text.count, text.has_ended])
        self.seconds += perf_counter() - clock
        return _Writing(self, read, start, is_cut)

    def _step(self, bucket: int) -> Call:
        if bucket not in self._calls:
            cache = self._context.thinker_cache
            self._calls[bucket] = self._runner.record(WritingStep(self._flash, self.buffers, cache, bucket))
        return self._calls[bucket]

    def _seen(self, count: int) -> None:
        """Enters tokens that were read by the steps into the conversation."""
        self._n_seen += count
        self._context.wrote(self._item, count)


class _Writing:
    def __init__(self, writer: GraphWriter, read: Readback, start: int, is_cut: bool) -> None:
        self._writer, self._read, self._start, self._is_cut = writer, read, start, is_cut

    def get(self) -> Written:
        clock = perf_counter()
        tokens, count, has_ended = self._read.get()
        self._writer.seconds += perf_counter() - clock
        n_new = max(0, min(int(count) - self._start, len(tokens)))
        self._writer._seen(n_new)
        stop = "end" if bool(has_ended) else "length" if self._is_cut else None
        return Written(tuple(tokens[:n_new].tolist()), stop)


class GraphSpeaker:
    """The recorded steps of a session's voice: codec frames and their sound."""

    def __init__(
        self,
        flash: Flash,
        context: Context,
        writer: GraphWriter,
        sampling: tuple[Sampling, Sampling],
        runner: Runner,
    ) -> None:
        """`sampling` of Talker and code predictor."""
        if flash.code2wav is None:
            raise InputError("this checkpoint has no speech output")
        self._flash, self._context, self._runner = flash, context, runner
        self.room = flash.generation.max_frames
        self.buffers = SpeakingBuffers(flash, *sampling, writer.buffers.text, self.room + SLACK)
        self.waves = WaveBuffers(flash.code2wav, self.buffers.codes)
        self._frame_calls: dict[int, Call] = {}
        self._place = 0
        self._wave_calls: dict[int, tuple[WaveStep, Call]] = {}
        self._wave_sizes = [size for size in WAVE_BATCHES if size <= flash.code2wav.config.sliding_window]
        self._asked = self._start_row = 0
        self.seconds = 0.0
        self.wave_seconds = 0.0  # in `seconds`: the host does not know where the device's time went

    @torch.inference_mode()
    def begin(self, voice: str, seed: int) -> None:
        """A new reply: reads the Talker's prompt."""
        flash, work, context = self._flash, self.buffers, self._context
        assert flash.talker is not None
        assert flash.spoken is not None
        prompt = flash.voice_prompt(voice)
        n_rows = prompt.shape[0]
        rope = flash.talker_rope.text(context.talker_position, n_rows)
        flash.talker(prompt, rope, context.talker_cache)
        self._place = _kept_at(context.talker_cache, self._place, self._frame_calls)  # the prompt may have moved it
        work.sum.copy_(flash.spoken.codec_bos)
        work.position.fill_(context.talker_position + n_rows)
        self._start_row = context.talker_cache.length
        work.length.fill_(self._start_row)
        work.count.zero_()
        work.has_ended.zero_()
        work.code_sampler.reset()
        work.predictor_sampler.reset()
        work.generator.manual_seed(seed)
        self.waves.reset()
        self._asked = 0
        self.seconds = 0.0

    def prepare(self) -> None:
        """Records the first steps, so that the first reply need not wait for them."""
        cache = self._context.talker_cache
        self._place = _kept_at(cache, self._place, self._frame_calls)
        self.buffers.length.fill_(cache.length)
        self._frame_step(window_for(cache.length + 1, cache), cache)
        for size in self._wave_sizes:
            self._wave_step(size)

    def speak(self, count: int) -> Ticket[Spoken]:
        """Asks for `count` frames and their sound."""
        clock = perf_counter()
        count = max(0, min(count, self.room - self._asked))
        if count:
            cache = self._context.talker_cache
            step = self._frame_step(window_for(self._start_row + self._asked + count + 1, cache), cache)
            for _ in range(count):
                step()
        start, self._asked = self._asked, self._asked + count
        samples = list(self._sound(start, count))
        read = Readback([self.buffers.count, self.buffers.has_ended, *samples])
        self.seconds += perf_counter() - clock
        return _Speaking(self, read, start, count)

    def calls(self) -> tuple[Call, Call]:
        """One frame without its sound, and the sound of one frame, to be timed."""
        cache = self._context.talker_cache
        n_rows = self._start_row + self._asked + SLACK
        return self._frame_step(window_for(min(n_rows, cache.capacity), cache), cache), self._wave_step(1)[1]

    def _frame_step(self, bucket: int, cache: KVCache) -> Call:
        if bucket not in self._frame_calls:
            self._frame_calls[bucket] = self._runner.record(SpeakingStep(self._flash, self.buffers, cache, bucket))
        return self._frame_calls[bucket]

    @torch.inference_mode()
    def _sound(self, start: int, count: int) -> Iterator[Tensor]:
        """Samples of the frames from `start`, frame by frame."""
        code2wav, waves = self._flash.code2wav, self.waves
        assert code2wav is not None
        end = start + count
        while start < end and not waves.is_primed:
            yield code2wav(waves.codes[start : start + 1], waves.state).float()
            waves.count.add_(1)
            start += 1
        while start < end:
            size = next(size for size in self._wave_sizes if size <= end - start)
            step, call = self._wave_step(size)
            call()
            # Read before the next call overwrites them: copies wait in the same queue.
            yield from step.samples.clone().split(code2wav.config.samples_per_frame)
            start += size

    def _wave_step(self, size: int) -> tuple[WaveStep, Call]:
        if size not in self._wave_calls:
            code2wav = self._flash.code2wav
            assert code2wav is not None
            step = WaveStep(code2wav, self.waves, size)
            self._wave_calls[size] = step, self._runner.record(step)
        return self._wave_calls[size]


class _Speaking:
    def __init__(self, speaker: GraphSpeaker, read: Readback, start: int, count: int) -> None:
        self._speaker, self._read, self._start, self._count = speaker, read, start, count

    def get(self) -> Spoken:
        clock = perf_counter()
        n_frames, has_ended, *samples = self._read.get()
        self._speaker.seconds += perf_counter() - clock
        n_new = max(0, min(int(n_frames) - self._start, self._count))
        frames: list[Samples] = [part.numpy().astype(np.float32, copy=False) for part in samples[:n_new]]
        return Spoken(tuple(frames), bool(has_ended))


def _kept_at(cache: KVCache, place: int, calls: dict[int, Call]) -> int:
    """Where the cache is. Steps that were recorded for another place are forgotten: the cache has grown since."""
    now = cache.keys[0].data_ptr()
    if now != place and place:
        calls.clear()
    return now


class GraphSession:
    """All recorded steps of one session. Made once; its buffers and the session's caches keep their addresses."""

    def __init__(
        self, flash: Flash, context: Context, mode: str, thinker: Sampling, talker: Sampling, predictor: Sampling
    ) -> None:
        runner = new_runner(mode)
        self.writer = GraphWriter(flash, context, thinker, runner)
        self.speaker: GraphSpeaker | None = None
        if flash.talker is not None:
            self.speaker = GraphSpeaker(flash, context, self.writer, (talker, predictor), runner)

    @torch.inference_mode()
    def prepare(self) -> None:
        """Records what every reply needs: kernels are compiled and tuned now, and not while a user waits."""
        self.writer.prepare()
        if self.speaker is not None:
            self.speaker.prepare()
