"""Recorded steps: the same tokens, codes and samples as the plain path, and nothing that a CUDA graph cannot hold."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from model.conversation.context import Context
from model.conversation.session import Session
from model.device import GRAPH_MODES, choose_graphs
from model.errors import InputError
from model.flash import Flash, load
from model.graphs import reply as graph_reply
from model.graphs.decoder import FIRST_BUCKET, bucket_for
from model.graphs.reply import GraphSession
from model.memory import Memory
from model.network.cache import KVCache
from model.network.sampling import PREDICTOR_SAMPLING, TALKER_SAMPLING, Sampling
from model.quant.load import storage_for
from model.quant.storage import Backend
from model.realtime.client_events import parse_client_event
from model.realtime.config import Abilities
from model.realtime.dialects import GA
from model.realtime.live_session import LiveSession
from model.realtime.server_events import ServerEvent
from tests.model.graphs.replaying import HostNeededError, Recorder, ReplayRunner, recorded
from tests.model.talk import GREEDY, GREEDY_TALKER, Said, assert_same, greedy_session, noise, picture, say, snapshot

pytestmark = pytest.mark.slow

VARIANTS = ("plain", "hold")
DRAWN = Sampling(0.8, top_k=20, top_p=0.9, repetition_penalty=1.1)


@pytest.fixture(scope="module")
def both(checkpoint_of: Callable[[str], Path]) -> Callable[..., tuple[Flash, Flash]]:
    """A checkpoint for the plain path and for recorded steps."""

    @cache
    def make(variant: str, quantize: str | None = None, cache_bits: int = 16) -> tuple[Flash, Flash]:
        def one(graphs: str) -> Flash:
            memory, path = Memory(cache_bits=cache_bits), checkpoint_of(variant)
            if quantize is None or graphs != "off":
                return load(path, device="cpu", dtype="float32", quantize=quantize, memory=memory, graphs=graphs)
            # The same products on both sides, so that every token can be the same: the plain twins.
            storage = storage_for(quantize, torch.device("cpu"), torch.float32, Backend())
            return load(path, device="cpu", dtype="float32", storage=storage, memory=memory, graphs=graphs)

        return one("off"), one("static")

    return make


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> ReplayRunner:
    """Steps are recorded once and replayed, as CUDA graphs are."""
    runner = ReplayRunner()
    monkeypatch.setattr(graph_reply, "new_runner", lambda mode: runner)
    return runner


def talk(session: Session) -> list[Said]:
    """Two turns, the second one after the first reply was cut."""
    session.see(picture(64, 64), at_s=0.5)
    session.hear(noise(1.2))
    first = say(session, max_tokens=10, max_frames=14)
    session.interrupt(heard_ms=500)
    session.hear(noise(1.0, seed=3))
    return [first, say(session, max_tokens=8, max_frames=30)]


def test_many_replies_of_a_large_seed(both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner) -> None:
    said = []
    for flash in both("plain"):
        session = Session(flash, "", seed=2**47, max_positions=600)
        said.append([])
        for _ in range(4):
            session.read("go on")
            said[-1].append(say(session, max_tokens=2, max_frames=2))
    assert_equal(*said)


def assert_equal(one: list[Said], other: list[Said]) -> None:
    for mine, theirs in zip(one, other, strict=True):
        assert mine.tokens == theirs.tokens
        assert mine.done.stats.stop == theirs.done.stats.stop
        assert mine.done.stats.speech_stop == theirs.done.stats.speech_stop
        assert mine.samples.shape == theirs.samples.shape
        # Codes are equal where samples are: another code is another sound altogether.
        assert np.abs(mine.samples - theirs.samples).max(initial=0) < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_replayed_steps_reply_as_the_plain_path(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner, variant: str
) -> None:
    plain, static = (greedy_session(flash, "Be brief.") for flash in both(variant))
    assert_equal(talk(plain), talk(static))
    assert replays.n_replays > 40
    one, other = snapshot(plain), snapshot(static)
    for name in ("positions", "pending", "pieces", "state"):
        assert one[name] == other[name]
    for mine, theirs in zip(one["thinker"], other["thinker"], strict=True):  # type: ignore[call-overload]
        assert torch.allclose(mine, theirs, atol=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_chance_repeats_in_replayed_steps(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner, seed: int
) -> None:
    sessions = [
        Session(
            flash,
            None,
            seed=seed,
            max_positions=1500,
            thinker_sampling=DRAWN,
            talker_sampling=TALKER_SAMPLING,
            predictor_sampling=PREDICTOR_SAMPLING,
        )
        for flash in both("plain")
    ]
    assert_equal(talk(sessions[0]), talk(sessions[1]))


@pytest.mark.parametrize(("quantize", "cache_bits"), [("int4", 16), ("int4", 8), (None, 8)])
def test_packed_weights_and_int8_caches(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner, quantize: str | None, cache_bits: int
) -> None:
    plain, static = (greedy_session(flash) for flash in both("plain", quantize, cache_bits))
    assert_equal(talk(plain), talk(static))


def test_a_reply_that_ends_by_itself(checkpoint_of: Callable[[str], Path], replays: ReplayRunner) -> None:
    """The stop of the text and of the speech are found on the device, after more has been asked for."""
    directory = checkpoint_of("plain")
    said, last_code = [], None
    for graphs in ("static", "off"):
        flash = load(directory, device="cpu", dtype="float32", graphs=graphs)
        session = greedy_session(flash)
        session.hear(noise(1.0))
        whole = say(session, max_tokens=9, max_frames=40)
        stop = whole.tokens[5]  # from now on this token ends the text
        flash.generation = type(flash.generation)(
            **{**vars(flash.generation), "stop_ids": flash.generation.stop_ids | {stop}}
        )
        session = greedy_session(flash)
        session.hear(noise(1.0))
        endless = say(session, max_tokens=9, max_frames=40)
        if last_code is None:
            last_code, n_before = newest_code(session, endless.done.stats.n_frames)
        assert flash.config.talker is not None
        talker = replace(flash.config.talker, codec_eos_token_id=last_code)  # and this code the speech
        flash.config = replace(flash.config, talker=talker)
        session = greedy_session(flash)
        session.hear(noise(1.0))
        said.append([whole, endless, say(session, max_tokens=9, max_frames=300)])
    assert_equal(*said)
    ended = said[0][-1]
    assert (ended.done.stats.stop, ended.done.stats.speech_stop) == ("end", "end")
    assert ended.done.stats.n_frames == n_before > 0
    assert ended.tokens == said[0][0].tokens[: said[0][0].tokens.index(said[0][0].tokens[5])]


def newest_code(session: Session, n_frames: int) -> tuple[int, int]:
    """The code of codebook 1 that comes first as late as possible in the last reply, and the frames before it."""
    graphs = session._makers._graphs
    assert graphs is not None
    assert graphs.speaker is not None
    codes = graphs.speaker.buffers.codes[:n_frames, 0].tolist()
    return max(((code, codes.index(code)) for code in codes), key=lambda found: found[1])


def test_an_empty_reply_stays_silent(checkpoint_of: Callable[[str], Path], replays: ReplayRunner) -> None:
    flash = load(checkpoint_of("plain"), device="cpu", dtype="float32", graphs="static")
    session = greedy_session(flash)
    session.hear(noise(1.0))
    first = say(session, max_tokens=1).tokens[0]
    session.interrupt(0)
    flash.generation = type(flash.generation)(**{**vars(flash.generation), "stop_ids": frozenset({first})})
    session = greedy_session(flash)
    session.hear(noise(1.0))
    silent = say(session)
    assert (silent.text, len(silent.samples), silent.done.stats.speech_stop) == ("", 0, "none")


def steps_of(flash: Flash, thinker: Sampling, talker: Sampling, predictor: Sampling) -> dict[str, object]:
    """One step of each kind, in the middle of a reply."""
    from model.graphs.speaking import SpeakingStep
    from model.graphs.waves import WaveStep
    from model.graphs.writing import WritingStep

    session = Session(flash, None, seed=1, max_positions=600)
    session.read("Hello.")
    context: Context = session.context
    graphs = GraphSession(flash, context, "static", thinker, talker, predictor)
    assert graphs.speaker is not None
    graphs.writer.begin(torch.randn(1, flash.config.thinker.text.hidden_size), 1, 100, 1)
    graphs.speaker.begin("ethan", 2)
    graphs.writer.write(4).get()
    graphs.speaker.speak(4).get()
    work, voice = graphs.writer.buffers, graphs.speaker.buffers
    code2wav = flash.code2wav
    assert code2wav is not None
    return {
        "token": WritingStep(flash, work, context.thinker_cache, FIRST_BUCKET),
        "frame": SpeakingStep(flash, voice, context.talker_cache, FIRST_BUCKET),
        "sound of 1": WaveStep(code2wav, graphs.speaker.waves, 1),
        "sound of 4": WaveStep(code2wav, graphs.speaker.waves, 4),
    }


@pytest.mark.parametrize("quantize", [None, "int4"])
@pytest.mark.parametrize("is_drawn", [False, True])
def test_every_run_of_a_step_is_the_same_work(
    both: Callable[..., tuple[Flash, Flash]], quantize: str | None, is_drawn: bool
) -> None:
    """Same operations, shapes, numbers from the host and addresses from run to run; nothing is read back."""
    chances = (DRAWN, TALKER_SAMPLING, PREDICTOR_SAMPLING) if is_drawn else (GREEDY, GREEDY_TALKER, GREEDY)
    for name, step in steps_of(both("plain", quantize)[1], *chances).items():
        signatures = [recorded(step).signature() for _ in range(3)]  # type: ignore[arg-type]
        assert len(signatures[0]) > 20, name
        for other in signatures[1:]:
            for first, second in zip(signatures[0], other, strict=True):
                assert first == second, name


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: torch.multinomial(x.abs(), 1),
        lambda x: torch.unique(x),
        lambda x: bool(x.any()),
        lambda x: (x > 0).tolist(),
    ],
)
def test_the_recorder_refuses_what_needs_the_host(work: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises((HostNeededError, RuntimeError)), Recorder():
        work(torch.randn(5))


def test_a_number_from_the_host_is_seen() -> None:
    """The check of `signature` can fail: a step that counts in Python is another one every time."""

    class Counting:
        generators = ()
        count = 0

        def run(self) -> None:
            self.count += 1
            torch.zeros(3) + self.count

    step = Counting()
    assert recorded(step).signature() != recorded(step).signature()  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "capacity", "bucket"), [(1, 4096, 512), (513, 4096, 1024), (600, 700, 700)])
def test_buckets(rows: int, capacity: int, bucket: int) -> None:
    assert bucket_for(rows, capacity) == bucket
    with pytest.raises(ValueError, match="do not fit"):
        bucket_for(capacity + 1, capacity)


def test_a_conversation_grows_into_the_next_bucket(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner
) -> None:
    sessions = [greedy_session(flash) for flash in both("plain")]
    said = []
    for session in sessions:
        session.read("long " * 101)  # 500 positions and a few
        said.append([say(session, max_tokens=30, max_frames=3)])
        assert session.n_positions > FIRST_BUCKET
    assert_equal(*said)


@pytest.mark.parametrize("n_events", [0, 1, 2, 5, 9])
def test_a_cancelled_reply_never_existed(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner, n_events: int
) -> None:
    """Also when work was under way whose results nobody looked at."""
    static, other, plain = (
        greedy_session(flash, "Be brief.", max_positions=400) for flash in (both("plain")[1], *reversed(both("plain")))
    )
    for session in (plain, static, other):
        session.hear(noise(1.1))
    stream = static.reply(max_tokens=8, max_frames=8)
    for _, _ in zip(range(n_events), stream, strict=False):
        pass
    assert static.interrupt(heard_ms=0) == ""
    other.commit()
    assert_same(snapshot(static), snapshot(other))
    assert_equal([say(plain)], [say(static)])


def test_evictions_between_replies(both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner) -> None:
    said = []
    for flash in both("plain"):
        session = greedy_session(flash, "Be brief.", max_positions=160)
        said.append([])
        for turn in range(5):
            session.see(picture(64, 64, seed=turn), at_s=0.4)
            session.hear(noise(1.5, seed=turn))
            said[-1].append(say(session, max_tokens=4, max_frames=3))
            assert session.n_positions <= 160
    assert_equal(*said)


def test_a_cache_that_has_grown_is_recorded_anew(
    both: Callable[..., tuple[Flash, Flash]], replays: ReplayRunner
) -> None:
    """Buffers at a new address would otherwise be written by nobody and read by everybody."""
    said = []
    for flash in both("plain"):
        session = greedy_session(flash, max_positions=300)
        session.read("go on")
        said.append([say(session, max_tokens=4, max_frames=3)])
        for held in (session.context.thinker_cache, session.context.talker_cache):
            held.reserve(2 * held.capacity)
        session.read("go on")
        said[-1].append(say(session, max_tokens=4, max_frames=3))
    assert_equal(*said)


def test_a_prompt_that_moves_the_cache_is_seen(both: Callable[..., tuple[Flash, Flash]]) -> None:
    """The Talker reads its prompt when a reply begins; steps recorded before that are for another place."""
    session = Session(both("plain")[1], "", seed=1, max_positions=64)
    session.read("Hello.")
    graphs = session._makers._graphs
    assert graphs is not None
    assert graphs.speaker is not None
    say(session, max_tokens=2, max_frames=2)
    cache = session.context.talker_cache
    place = cache.keys[0].data_ptr()
    assert graphs.speaker._frame_calls
    cache.advance(cache.capacity - cache.length - 4)
    graphs.speaker.begin("ethan", 2)
    assert cache.keys[0].data_ptr() != place
    assert graphs.speaker._place == cache.keys[0].data_ptr()
    assert not graphs.speaker._frame_calls


def test_a_transcription_at_the_end_of_the_budget_does_not_move_the_cache(
    both: Callable[..., tuple[Flash, Flash]],
) -> None:
    session = greedy_session(both("plain")[1], max_positions=120)
    session.hear(noise(4.0))
    session.commit()
    place = session.context.thinker_cache.keys[0].data_ptr()
    session.transcribe_user(max_tokens=256)
    assert session.context.thinker_cache.keys[0].data_ptr() == place


def test_a_transcription_of_a_long_turn_does_not_move_the_cache(checkpoint_of: Callable[[str], Path]) -> None:
    """The engine asks for as many tokens as half a minute may hold, and the model never ends by itself."""
    flash = load(checkpoint_of("plain"), device="cpu", dtype="float32", graphs="static")
    flash.generation = replace(flash.generation, stop_ids=frozenset())
    session = greedy_session(flash, max_positions=480)
    session.hear(noise(30.0))
    session.commit()
    cache = session.context.thinker_cache
    place, capacity = cache.keys[0].data_ptr(), cache.capacity
    assert session.transcribe_user(max_tokens=16 + 16 * 30)
    assert (cache.keys[0].data_ptr(), cache.capacity) == (place, capacity)


class Deaf:
    """A client that looks at nothing."""

    dialect = GA

    def send(self, event: ServerEvent) -> None: ...

    def drop_speech(self, response_id: str) -> None: ...

    def finish(self) -> None: ...


def test_new_instructions_free_the_old_caches_before_new_ones_are_made(
    both: Callable[..., tuple[Flash, Flash]],
) -> None:
    """The memory plan has room for one conversation."""
    flash = both("plain")[1]
    held: list[weakref.ref[KVCache]] = []
    n_alive = []

    class Watched:
        voices = flash.voices
        knows_tools = True
        knows_read_text = True

        def open_session(self, instructions: str | None, voice: str | None) -> Session:
            n_alive.append(sum(made() is not None for made in held))
            session = Session(flash, instructions, voice, max_positions=400)
            held.extend(weakref.ref(made) for made in (session.context.thinker_cache, session.context.talker_cache))
            return session

    live = LiveSession(Watched(), Abilities("model", flash.voices, False), Deaf(), None, "sess_1")
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    for number in range(3):
        for event in (
            {"type": "session.update", "session": {"instructions": f"Number {number}."}},
            {"type": "conversation.item.create", "item": message},
            {"type": "response.create", "response": {"max_output_tokens": 2}},
        ):
            read = parse_client_event(json.dumps(event))
            assert read is not None
            live.handle(read)
        while live.work(True, 1.0, 0.0):
            pass
    assert n_alive == [0, 0, 0, 0]


def test_modes() -> None:
    assert choose_graphs("auto", torch.device("cpu")) == "off"
    with pytest.raises(InputError, match="static"):
        choose_graphs("cuda", torch.device("cpu"))
    with pytest.raises(InputError, match="auto"):
        choose_graphs("fast", torch.device("cpu"))
    assert set(GRAPH_MODES) == {"off", "static", "cuda"}


@pytest.mark.gpu
@pytest.mark.parametrize("quantize", [None, "int4", "int8"])
def test_cuda_graphs_reply_as_the_plain_path(checkpoint_of: Callable[[str], Path], quantize: str | None) -> None:
    said = []
    for graphs in ("off", "cuda"):
        flash = load(checkpoint_of("plain"), device="cuda", dtype="float32", quantize=quantize, graphs=graphs)
        said.append(talk(greedy_session(flash)))
    for mine, theirs in zip(*said, strict=True):
        assert mine.tokens == theirs.tokens
        assert mine.samples.shape == theirs.samples.shape
        assert np.abs(mine.samples - theirs.samples).max() < 1e-3


@pytest.mark.gpu
def test_chance_repeats_in_cuda_graphs(checkpoint_of: Callable[[str], Path]) -> None:
    said = []
    for graphs in ("off", "cuda", "cuda"):
        flash = load(checkpoint_of("plain"), device="cuda", dtype="float32", graphs=graphs)
        said.append(talk(Session(flash, None, seed=7, max_positions=1500, thinker_sampling=DRAWN)))
    for other in said[1:]:
        assert [one.tokens for one in said[0]] == [one.tokens for one in other]
