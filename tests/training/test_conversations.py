"""Whole conversations for training: the runtime's own layout token for token, and answers that are true."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from app.narration import RESTING_PROMPT
from app.prompts import DESCRIBE
from model.conversation.context import MediaRows, TextRows
from model.conversation.session import Session
from model.flash import Flash, load
from model.prompts import DEFAULT_INSTRUCTIONS
from training import distort, people, text, timing
from training.conversations import Conversation, Spoken, Turn
from training.domain import app_prompts, draw, refusals, talk, words
from training.export import gather
from training.import_checkpoint import import_checkpoint
from training.pretrain_seeing import draw_scene
from training.scenes import answers, unknown
from training.scenes.scene import DARK, Scene, Thing
from training.sequences import USER_HEADER, Fork, Gone, Picture, Row, Segment, Sound, pack, reply, say, system_turn
from training.thinker import Batch, forward
from training.thinker_data import Maker

SHIPPED = Path("assets/flash-mini")
RATE_HZ = 16_000
Rgb = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def shipped() -> Flash:
    return load(SHIPPED, "cpu", "float32", graphs="off")


class Inputs:
    """Keeps what a conversation shows and says."""

    def __init__(self) -> None:
        self.sounds: list[npt.NDArray[np.float32]] = []
        self.pictures: list[Rgb] = []

    def sound(self, pcm: npt.NDArray[np.float32]) -> Sound:
        self.sounds.append(pcm)
        return Sound(len(self.sounds) - 1, len(pcm) // 160)

    def shown(self, rgb: Rgb) -> Picture:
        self.pictures.append(rgb)
        return Picture(len(self.pictures) - 1, rgb.shape[0], rgb.shape[1])


class NoChance(random.Random):
    """Nothing happens that happens only sometimes."""

    def random(self) -> float:
        return 0.99


def conversation(inputs: Inputs) -> Conversation:
    return Conversation(NoChance(1), inputs, None, Path("none"), lambda words_, _: words_)


def strange(seed: int) -> unknown.Strange:
    return unknown.Strange(np.random.default_rng(seed).integers(0, 256, (192, 256, 3), dtype=np.uint8))


def noise(seconds: float, seed: int) -> npt.NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * 0.1).astype(np.float32)


def read_by_runtime(
    session: Session, turns: list[Turn], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[tuple[float, ...]]]:
    """Tokens and positions of a session that is given the same turns, the instructions left out."""
    ids: list[int] = []
    positions: list[tuple[float, ...]] = []
    rope, read = session.flash.thinker_rope, session.context._read
    multimodal = rope.multimodal

    def note(at: torch.Tensor) -> object:
        if at.shape[1] > 0:
            latest.append([tuple(place) for place in at.T.tolist()])
        return multimodal(at)

    def record(group: list[TextRows | MediaRows]) -> torch.Tensor:
        for part in group:
            if isinstance(part, TextRows):
                ids.extend(part.ids)
            else:
                ids.extend([text.IMAGE_PAD if part.deepstack is not None else text.AUDIO_PAD] * len(part))
        latest.clear()
        hidden = read(group)
        positions.extend(latest[0])
        return hidden

    latest: list[list[tuple[float, ...]]] = []
    monkeypatch.setattr(rope, "multimodal", note)
    monkeypatch.setattr(session.context, "_read", record)
    for turn in turns:
        if isinstance(turn.view, unknown.Strange):
            session.see(turn.view.rgb, 0.0)
        if turn.spoken is not None:
            session.hear(turn.spoken.pcm)
        else:
            session.read(turn.words)
        session.commit()
        with torch.inference_mode():
            session._listener.read(tuple(timing.speakable_tokens(turn.answer)), session._new_item(), "assistant")
    return ids, positions


def test_a_conversation_is_what_the_runtime_reads_token_for_token(
    shipped: Flash, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [
        Turn("Hello. How can I help?", spoken=Spoken(noise(1.3, 1), "hello")),
        Turn("I see a red cup.", spoken=Spoken(noise(2.5, 2), "what do you see"), view=strange(1)),
        Turn("The cup is red.", words="what colour is it", view=strange(2)),
        Turn("I am a computer program.", words="are you human"),
        Turn("I cannot tell what that is.", spoken=Spoken(noise(4.2, 3), "what is this"), view=strange(3)),
        Turn("Goodbye.", spoken=Spoken(noise(0.9, 4), "bye")),
    ]
    inputs = Inputs()
    made = conversation(inputs)
    for turn in turns:
        made._write_turn(turn, is_evicted=False)
    system = system_turn(DEFAULT_INSTRUCTIONS)
    row = pack([say(USER_HEADER), *made.segments], [], len(system))
    trunk = [n for n, branch in enumerate(row.branches) if branch == 0]
    session = Session(shipped, DEFAULT_INSTRUCTIONS, max_positions=4096)
    session.context.max_turns = None
    assert session.n_positions == len(system)
    ids, positions = read_by_runtime(session, turns, monkeypatch)
    ours = [text.IMAGE_PAD if row.ids[n] == text.VIDEO_PAD else row.ids[n] for n in trunk]
    assert ours == ids
    assert [row.positions[n] for n in trunk] == positions


def test_a_fork_sees_what_came_before_it_and_nothing_sees_the_fork() -> None:
    trunk: list[Segment] = [say("one"), Fork((say("aside"), *reply("All right."))), say(" two"), *reply("Goodbye.")]
    row = pack(trunk, [], 5)
    plain = pack([part for part in trunk if not isinstance(part, Fork)], [], 5)
    kept = [n for n, branch in enumerate(row.branches) if branch == 0]
    assert [row.ids[n] for n in kept] == plain.ids
    assert [row.positions[n] for n in kept] == plain.positions
    fork = [n for n, branch in enumerate(row.branches) if branch == 1]
    assert row.positions[fork[0]][0] == 5 + len(text.encode("one"))


def test_what_was_evicted_leaves_its_positions() -> None:
    shown = Picture(0, 192, 256)
    with_it, without = pack([shown, say("x")], [], 0), pack([Gone(shown), say("x")], [], 0)
    assert without.ids == text.encode("x")
    assert without.positions == with_it.positions[-1:]


def rows_of(maker: Maker, count: int) -> Iterator[tuple[Batch, Row]]:
    for _ in range(count):
        batch = maker.batch({"conversation": 1})
        yield batch, batch.rows[0]


def test_every_drawn_conversation_can_be_learnt() -> None:
    maker = Maker([], 5)
    longest = 0
    for _, row in rows_of(maker, 12):
        assert any(row.learn)
        longest = max(longest, sum(token == text.IM_START and row.branches[n] == 0 for n, token in enumerate(row.ids)))
        for n, learn in enumerate(row.learn):
            if learn:  # what is learnt follows what it is learnt from
                assert row.branches[n - 1] in (0, row.branches[n])
    assert longest > 8


@torch.no_grad()
def test_forks_do_not_change_what_the_trunk_learns(shipped_thinker: object) -> None:
    maker = Maker([], 9)
    for batch, row in rows_of(maker, 2):
        together = forward(shipped_thinker, batch)
        kept = [n for n, branch in enumerate(row.branches) if branch == 0]
        parts = (row.ids, row.positions, row.branches, row.learn, row.sources)
        batch.rows = [Row(*([part[n] for n in kept] for part in parts))]  # type: ignore[arg-type]
        alone = forward(shipped_thinker, batch)
        ours = [n for n, owner in enumerate(together.owners) if owner[1] == 0]
        assert torch.allclose(together.logits[ours], alone.logits, atol=1e-3)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    import_checkpoint(SHIPPED, folder)
    return folder


@pytest.fixture(scope="module")
def shipped_thinker(runs: Path) -> object:
    from training.stage import load_part_of, make_thinker

    thinker = make_thinker()
    thinker.load_state_dict(load_part_of(runs / "thinker.pt", "thinker"))
    return thinker.eval()


def test_an_imported_checkpoint_exports_to_itself(runs: Path) -> None:
    from safetensors.torch import load_file

    tensors, notes = gather(runs, allow_untrained=False)
    published = load_file(SHIPPED / "model.safetensors")
    assert set(tensors) == set(published)
    assert all(torch.equal(tensors[name], value) for name, value in published.items())
    assert all("trained to step" in note for note in notes.values())


def scene(*things: Thing, word: str = "", light: str = "light", blurred: bool = False) -> Scene:
    return Scene(things, word=word, light=light, blurred=blurred)


CUP, BOTTLE = Thing("cup", "red", 0.2, 0.5, 0.4), Thing("bottle", "green", 0.8, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "shown", "said"),
    [
        ("describe brief", scene(BOTTLE, CUP), "I see a red cup on the left and a green bottle on the right."),
        ("describe normal", scene(CUP), "The red cup is on the left."),
        ("describe full", scene(CUP), "I see a red cup. The red cup is on the left."),
        ("describe brief", scene(word="PRIVATE"), "I see a word that I cannot read."),
        ("read", scene(word="STOP"), "It says stop."),
        ("read", scene(word="PRIVATE"), "I see a word that I cannot read."),
        ("read", scene(CUP), "I see no word."),
        ("narration moving", scene(CUP, BOTTLE), "I see a green bottle."),
        ("narration resting", scene(CUP), "The red cup is on the left."),
        ("describe full", scene(), answers.NOTHING),
        ("describe brief", scene(CUP, light=DARK), answers.TOO_DARK),
        ("read", scene(CUP, blurred=True), answers.TOO_BLURRED),
    ],
)
def test_the_apps_prompts_have_true_answers(name: str, shown: Scene, said: str) -> None:
    assert app_prompts.answer(name, shown) == said


@pytest.mark.parametrize(
    ("name", "said", "is_right"),
    [
        ("describe brief", "I see a red cup on the left and a green bottle on the right.", True),
        ("describe brief", "I see a green bottle on the right and a red cup on the left.", True),
        ("describe brief", "I see a red cup on the left.", False),
        ("describe brief", "I see a red cup on the left and a red cup on the left.", False),
        ("describe brief", "I see a red cup on the left and a green bottle at the top right.", False),
        ("describe normal", "The green bottle is on the right. The red cup is on the left.", True),
        ("describe normal", "The green bottle is on the right. The blue cup is on the left.", False),
        ("describe normal", "I see a red cup.", False),
        ("narration moving", "I see a red cup.", True),
        ("narration moving", "I see a green cup.", False),
        ("narration resting", "The red cup is on the left. The green bottle is on the right.", True),
        ("narration resting", "The red cup is on the left", False),
        (
            "describe full",
            "I see a red cup and a green bottle. The green bottle is on the right. The red cup is on the left.",
            True,
        ),
        (
            "describe full",
            "I see a green bottle and a red cup. The red cup is on the left. The green bottle is on the right.",
            False,
        ),
        ("describe full", "I see a red cup and a green bottle. The red cup is on the left.", False),
        ("read", "I see no word.", True),
        ("read", "It says stop.", False),
    ],
)
def test_a_reply_is_right_where_all_it_says_is_true_and_nothing_is_missing(
    name: str, said: str, is_right: bool
) -> None:
    assert app_prompts.is_right(name, scene(CUP, BOTTLE), said) == is_right


def test_the_right_answer_is_right() -> None:
    rng = random.Random(4)
    for _ in range(200):
        shown = draw_scene(rng)
        for name in app_prompts.PROMPTS:
            assert app_prompts.is_right(name, shown, app_prompts.answer(name, shown)), name


def test_the_apps_prompts_are_the_apps_own() -> None:
    assert {*DESCRIBE.values(), RESTING_PROMPT} <= set(app_prompts.PROMPTS.values())


def test_a_moving_narration_has_at_most_eight_words() -> None:
    rng = random.Random(3)
    for _ in range(20):
        shown = answers.show_for("describe", {}, rng)[0]
        assert isinstance(shown, Scene)
        assert len(app_prompts.answer("narration moving", shown).split()) <= 8


def test_of_an_unknown_picture_only_light_and_focus_are_told(tmp_path: Path) -> None:
    rng = random.Random(2)
    seen = set()
    for _ in range(60):
        view = unknown.draw(tmp_path, rng)
        said = view.answer("describe")
        seen.add(said)
        assert view.answer("light") == ("It is dark." if view.dark else "It is light.")
        assert (view.rgb.mean() < 40) == view.dark
    assert seen == {unknown.UNKNOWN, answers.TOO_DARK, answers.TOO_BLURRED}


def test_strange_words_are_none_that_it_reads() -> None:
    assert not set(words.STRANGE_WORDS) & set(words.PRINTED_WORDS)


def test_no_wording_of_the_refusals_evaluation_can_be_trained_on() -> None:
    listed = json.loads((Path(refusals.__file__).parents[1] / "eval" / "refusals.json").read_text())
    assert set(listed) == set(talk.REFUSALS)
    for intent, lines in listed.items():
        for said in lines:
            assert not any(refusals.can_ask(other, said) for other in talk.REFUSALS), said
            assert said not in talk.phrasings(intent), said
    assert refusals.can_ask("money", refusals.ask("money", random.Random(1)))


def test_law_and_money_are_refused_like_medicine() -> None:
    for intent in talk.REFUSALS:
        assert "Please ask" in talk.answer(intent, draw.question(random.Random(1), draw.TALK, intent).slots)


def test_distortions_keep_the_length_and_stay_sound() -> None:
    pcm, rng = noise(1.5, 1), np.random.default_rng(4)
    for made in (
        distort.telephone(pcm, rng), distort.far(pcm, rng), distort.with_music(pcm, rng, 10.0),
        distort.overdriven(pcm, rng), distort.among(pcm, [noise(0.7, 2)], 10.0),
    ):  # fmt: skip
        assert made.shape == pcm.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert float(np.abs(made).max()) > 0


def test_a_telephone_passes_nothing_high() -> None:
    spectrum = np.abs(np.fft.rfft(distort.telephone(noise(2.0, 3), np.random.default_rng(1)))) ** 2
    hertz = np.fft.rfftfreq(2 * RATE_HZ, 1 / RATE_HZ)
    assert spectrum[hertz > 4500].mean() < 0.02 * spectrum[(hertz > 500) & (hertz < 3000)].mean()


def test_people_are_split_by_recording_and_their_words_are_plain(tmp_path: Path) -> None:
    assert people.plain_words("Printing, in the only sense — of 1890's ART.") == "printing in the only sense of 's art"
    back = [name for name in (f"order-{n}.flac" for n in range(400)) if people.is_kept_back(name)]
    assert 60 < len(back) < 140
    people.save(tmp_path, "orders", [("a", noise(0.5, 1), "one coffee"), ("b", noise(0.2, 2), "")])
    loaded = people.load(tmp_path, "orders")
    assert loaded is not None
    pcm, said = loaded.take(1)
    assert (len(pcm), said) == (3200, "")
    assert people.load(tmp_path, "none") is None
