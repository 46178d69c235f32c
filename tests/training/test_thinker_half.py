"""The hearing half's training: packed rows equal the reference, and the data says what is true."""

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import training
from training import hearing_audio, hearing_data, text, vision
from training.domain import draw, pictures, talk, words
from training.pretrain_seeing import count_labels, draw_scene, place_labels, size_of
from training.scenes import answers
from training.scenes import scene as scenes_of
from training.scenes.render import render
from training.scenes.scene import Clip, Scene, make_clip, make_scene
from training.sequences import Row
from training.stage import make_thinker
from training.thinker import Batch, decode, forward, learnt_places
from training.thinker_data import Maker

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def thinker():
    torch.manual_seed(0)
    made = make_thinker()
    for merger in made.model.visual.merger_list:  # DeepStack starts at zero, which would hide mistakes
        torch.nn.init.normal_(merger.mlp[-1].weight, std=0.05)
    return made.eval()


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    """Batches over questions "spoken" as noise: the layout does not depend on what the sound is."""
    folder = tmp_path_factory.mktemp("hearing")
    rng, noise = random.Random(1), np.random.default_rng(1)
    writer = hearing_data._Writer(folder, "part")
    for kind in (draw.TALK, draw.PICTURE, draw.OUT_OF_DOMAIN):
        for _ in range(6):
            pcm = noise.standard_normal(RATE_HZ * 2).astype(np.float32) * 0.1
            writer.add(draw.question(rng, kind), "noise", pcm, [2, 3, 4], [])
    writer.close()
    return Maker([hearing_data.load_part(folder / "part.json")], 3)


def first_branch(row: Row) -> Row:
    """The prefix and the first branch alone."""
    keep = [index for index, branch in enumerate(row.branches) if branch <= 1]
    return Row(
        *([part[index] for index in keep] for part in (row.ids, row.positions, row.branches, row.learn, row.sources))
    )


def reference_logits(thinker, batch: Batch) -> torch.Tensor:
    """Logits of the reference's own forward, which works out positions and embeddings itself."""
    row = batch.rows[0]
    ids = torch.tensor([batch.system + row.ids])
    inputs = {}
    if batch.sounds:
        features = hearing_audio.features(batch.sounds[:1], 128)
        n_frames = int(features.n_frames[0])
        inputs["input_features"] = features.mel[:, :, :n_frames]
        inputs["feature_attention_mask"] = torch.ones(1, n_frames, dtype=torch.long)
    shown = sorted({source[1] for source in row.sources if source is not None and source[0] == "picture"})
    if shown:
        patches = [vision.patches([batch.pictures[number]])[0] for number in shown]
        both = torch.cat([part.view(-1, 3, 1, 256).expand(-1, -1, 2, -1).reshape(-1, 1536) for part in patches])
        grid = torch.tensor([[1, *(side // 16 for side in batch.pictures[number].shape[:2])] for number in shown])
        if text.VIDEO_PAD in row.ids:
            inputs |= {"pixel_values_videos": both, "video_grid_thw": grid, "use_audio_in_video": True}
            inputs["video_second_per_grid"] = torch.tensor([2.0])
        else:
            inputs |= {"pixel_values": both, "image_grid_thw": grid}
    return thinker(input_ids=ids, attention_mask=torch.ones_like(ids), **inputs).logits[0]


@pytest.mark.parametrize("kind", ["typed", "image", "heard", "spoken"])
@torch.no_grad()
def test_packed_rows_equal_the_reference(thinker, maker, kind):
    for _ in range(3):
        batch = maker.batch({kind: 1})
        batch.tilt = None
        batch.rows = [first_branch(batch.rows[0])]
        if text.VIDEO_PAD in batch.rows[0].ids and len(batch.pictures) > 1:
            continue  # the reference knows only evenly spaced pictures
        places, _, _ = learnt_places(batch)
        difference = reference_logits(thinker, batch)[places] - forward(thinker, batch).logits
        assert difference.abs().max() < 1e-4


@torch.no_grad()
def test_branches_do_not_see_each_other(thinker, maker):
    batch = maker.batch({"image": 1})
    together = forward(thinker, batch)
    batch.rows = [first_branch(batch.rows[0])]
    alone = forward(thinker, batch)
    n = len(alone.targets)
    assert torch.allclose(together.logits[:n], alone.logits, atol=1e-5)


@torch.no_grad()
def test_greedy_decoding_agrees_with_the_forward(thinker, maker):
    batch = maker.batch({"image": 1, "heard": 2})
    for number, row in enumerate(batch.rows):
        cut = first_branch(row)
        n = cut.learn.index(True)
        batch.rows[number] = Row(cut.ids[:n], cut.positions[:n], cut.branches[:n], cut.learn[:n], cut.sources[:n])
    written = decode(thinker, batch, end=text.IM_END, max_tokens=6)
    for row, tokens in zip(batch.rows, written, strict=True):
        for token in tokens:
            row.ids.append(token)
            row.positions.append((max(row.positions[-1]) + 1,) * 3)
            row.branches.append(row.branches[-1])
            row.learn.append(True)
            row.sources.append(None)
    output = forward(thinker, batch)
    assert torch.equal(output.logits.argmax(-1), output.targets)


@torch.no_grad()
def test_decoding_stops_rows_without_hope_and_leaves_the_others_alone(thinker, maker):
    batch = maker.batch({"typed": 3})
    batch.rows = [first_branch(row) for row in batch.rows]
    whole = decode(thinker, batch, end=text.IM_END, max_tokens=5)
    broken = decode(thinker, batch, end=text.IM_END, max_tokens=5, hopeless=lambda row, ids: row == 1 and len(ids) == 2)
    assert broken == [whole[0], whole[1][:2], whole[2]]


def test_a_new_eye_looks_at_neighbouring_patches():
    tower = vision.make_tower()
    rows, columns = 12, 16
    places = vision._geometry(rows, columns, tower.num_grid_per_side)[2]
    cos, sin = tower.rotary_pos_emb(torch.zeros(1), places)
    for block, (offsets, _) in zip(tower.blocks, vision._NEIGHBOURS, strict=True):
        query, key, _ = block.attn.qkv.bias.detach().view(3, block.attn.num_heads, -1)
        for head, (down, right) in enumerate(offsets):
            turned = []
            for constant in (query[head], key[head]):
                first, second = constant.chunk(2)
                turned.append(constant * cos + torch.cat((-second, first)) * sin)
            here = places.tolist().index([5, 7])
            best = places[(turned[1] @ turned[0][here]).argmax()].tolist()
            assert abs(best[0] - 5 - down) <= 0.5
            assert abs(best[1] - 7 - right) <= 0.5


def test_outlines_lie_where_the_picture_has_things():
    rng = random.Random(5)
    scene = make_scene([("circle", "red")], rng)
    height, width = size_of(scene)
    figure = render(scene, height, width)[1].figure  # [rows, columns, 64]
    squares = figure.reshape(height // 32, width // 32, 8, 8).transpose(0, 2, 1, 3).reshape(height // 4, width // 4)
    thing = scene.things[0]
    assert squares[int(thing.y * height) // 4, int(thing.x * width) // 4] == 1
    radius = thing.size * min(height, width) / 2
    assert squares.sum() * 16 == pytest.approx(np.pi * radius**2, rel=0.12)


def test_stretching_changes_length_and_pitch_together():
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    fast = hearing_audio.stretch(tone, 1.25)
    peak_hz = np.abs(np.fft.rfft(fast)).argmax() * RATE_HZ / len(fast)
    assert len(fast) == pytest.approx(RATE_HZ / 1.25, abs=2)
    assert peak_hz == pytest.approx(500, abs=2)


def test_noise_has_unit_power_and_differs_each_time():
    rng = np.random.default_rng(3)
    noises = [hearing_audio.coloured_noise(20_000, rng) for _ in range(4)]
    assert all(float(noise.std()) == pytest.approx(1, abs=1e-3) for noise in noises)
    assert not np.allclose(noises[0], noises[1])


def test_audio_batch_equals_the_reference_encoder(thinker):
    noise = np.random.default_rng(0)
    sounds = [noise.standard_normal(n).astype(np.float32) * 0.1 for n in (9000, 36_000, 61_280)]
    batch = hearing_audio.features(sounds, 128)
    mine = hearing_audio.encode(thinker.model.audio_tower, batch)
    for number, n_tokens in enumerate(batch.n_tokens):
        n_frames = batch.n_frames[number : number + 1]
        theirs = thinker.model.audio_tower(batch.mel[number, :, : int(n_frames)], feature_lens=n_frames)
        assert torch.allclose(mine[number, :n_tokens], theirs.last_hidden_state, atol=1e-4)


def test_features_are_those_of_the_runtime():
    from model.network.mel import LogMelStream

    pcm = np.random.default_rng(1).standard_normal(RATE_HZ * 5).astype(np.float32) * 0.1
    pcm[: RATE_HZ * 2] *= 0.001  # the floor rises with the second window
    stream = LogMelStream(128, 200)
    windows = [*stream.feed(pcm), stream.finish()]
    mine = hearing_audio.features([pcm], 128)
    assert torch.allclose(mine.mel[0, :, :495], torch.cat(windows, 1)[:, :495], atol=1e-4)


def test_new_wordings_are_not_in_the_grammar():
    listed = json.loads((Path(training.__file__).parent / "eval" / "new_wordings.json").read_text())
    known = {form for intent in talk.INTENTS for form in talk.phrasings(intent)}
    known |= {form for forms in pictures.PHRASINGS.values() for form in forms}
    assert len(listed) == 100
    for entry in listed:
        assert entry["say"] not in known
        intent = entry["intent"]
        assert intent in talk.INTENTS or intent in pictures.INTENTS


def test_kept_back_voices_are_not_trained_on():
    trained = {
        language + variant for language in hearing_data.ESPEAK_LANGUAGES for variant in hearing_data.ESPEAK_VARIANTS
    }
    assert not trained & set(hearing_data.TEST_ESPEAK_VOICES)
    assert not any("f5" in voice or "scotland" in voice for voice in trained)
    assert not set(hearing_data.FLITE_VOICES) & set(hearing_data.TEST_FLITE_VOICES)


def test_at_least_35_intents_with_many_phrasings():
    forms = [talk.phrasings(intent) for intent in talk.INTENTS]
    forms += pictures.PHRASINGS.values()
    assert len(forms) >= 35
    assert sum(len(set(form)) for form in forms) > 600
    assert min(len(set(form)) for form in forms) >= 7


def test_every_question_has_an_answer_that_can_be_spoken():
    rng = random.Random(4)
    for intent in pictures.INTENTS:
        for _ in range(5):
            question, slots = pictures.ask(intent, rng)
            shown, answer = answers.show_for(intent, slots, rng)
            assert "{" not in question
            assert answer.endswith(".")
            assert isinstance(shown, Clip) == (intent == "change")
    for intent in talk.INTENTS:
        question, slots = talk.ask(intent, rng)
        assert "{" not in question
        assert "{" not in talk.answer(intent, slots)


def test_training_asks_every_question_and_the_hard_ones_more_often():
    rng = random.Random(8)
    drawn = Counter(pictures.draw_intent(rng) for _ in range(3000))
    assert set(drawn) == set(pictures.INTENTS)
    assert min(drawn["count_colour"], drawn["describe"], drawn["more_detail"]) > 1.4 * drawn["where"]


def test_sums_and_days_are_right():
    assert talk.answer("add", {"a": "three", "b": "four"}) == "Three plus four is seven."
    assert talk.answer("subtract", {"a": "nine", "b": "two"}) == "Nine minus two is seven."
    assert talk.answer("next_day", {"day": "Sunday"}) == "After Sunday comes Monday."
    assert talk.answer("bigger", {"a": "three", "b": "eight"}) == "Eight is bigger than three."


def test_pictures_show_what_the_scene_says():
    rng = random.Random(5)
    for _ in range(20):
        scene = draw_scene(rng)
        height, width = size_of(scene)
        picture, labels = render(scene, height, width)
        assert picture.shape == (height, width, 3)
        if not scene.seen:
            continue
        shown = {words.COLOURS[value - 1] for value in labels.colours.flatten() if value > 0}
        assert shown <= {thing.colour for thing in scene.things}
        assert labels.centres.sum() <= len(scene.things)


def test_clips_end_as_their_move_says():
    rng = random.Random(6)
    for _ in range(30):
        clip = make_clip(rng)
        first, last = clip.scenes[0], clip.scenes[-1]
        if clip.move == "left":
            assert last.things[0].x < first.things[0].x - 0.3
        elif clip.move == "closer":
            assert last.things[0].size > 1.5 * first.things[0].size
        elif clip.move == "light on":
            assert (first.light, last.light) == ("dark", "light")
        elif clip.move == "appears":
            assert len(last.things) == len(first.things) + 1


def test_a_dark_picture_is_never_described():
    scene = Scene((), light="dark")
    for intent in pictures.INTENTS:
        slots = pictures.ask(intent, random.Random(1))[1]
        assert "dark" in (answers.answer(intent, slots, scene) or "dark")


def test_counts_of_each_colour_and_kind_stop_at_more():
    pairs = [("cup", "red"), ("cup", "red"), ("cup", "red"), ("fish", "red"), ("star", "blue")]
    scene = make_scene(pairs, random.Random(5))
    colours = dict(zip(words.COLOURS, count_labels(scene, words.COLOURS, "colour"), strict=True))
    kinds = dict(zip(words.OBJECTS, count_labels(scene, words.OBJECTS, "kind"), strict=True))
    assert (colours["red"], colours["blue"], colours["green"]) == (3, 1, 0)
    assert (kinds["cup"], kinds["fish"], kinds["tree"]) == (3, 1, 0)
    unseen = replace(scene, light=scenes_of.DARK)
    assert set(count_labels(unseen, words.COLOURS, "colour")) == {-100}


def test_every_position_of_a_thing_knows_where_the_thing_is():
    rng, found = random.Random(5), {"columns": 0, "rows": 0, "hours": 0, "words": 0, "orders": 0}
    while min(found.values()) < 20:
        scene = draw_scene(rng)
        labels = render(scene, *size_of(scene))[1]
        places = place_labels(scene, labels)
        n_rows, n_columns = labels.kinds.shape
        shown = {thing.kind for thing in scene.things if scene.seen}
        for thing in scene.things:
            cell = int(thing.y * n_rows) * n_columns + int(thing.x * n_columns)
            kind = words.OBJECTS[int(labels.kinds.flatten()[cell]) - 1] if labels.kinds.flatten()[cell] > 0 else ""
            if kind != thing.kind or sum(other.kind == kind for other in scene.things) > 1:
                continue
            hour = scenes_of.clock_hour(thing, scene.aspect)
            expected = scenes_of.third(thing.x), scenes_of.third(thing.y), -100 if hour is None else hour
            names = ("columns", "rows", "hours")
            assert tuple(int(places[name][cell]) for name in names) == expected
            for name in names:
                found[name] += 1
        empty = torch.from_numpy(labels.kinds).flatten() <= 0
        assert (places["columns"][empty] == -100).all()
        assert shown or (places["columns"] == -100).all()
        for cell, letter in enumerate(labels.letters.flatten().tolist()):
            order, word = int(places["orders"][cell]), int(places["words"][cell])
            assert (letter > 0) == (order >= 0) == (word >= 0)
            if letter > 0:
                assert words.PRINTED_WORDS[word] == scene.word
                assert ord(scene.word[order]) - ord("A") + 1 == letter
                found["words"] += 1
                found["orders"] += 1
