"""The voices that training hears: accents made by rule, other languages, and none that is kept back."""

import random

import numpy as np

from training import accents, evaluate, hearing_data
from training.domain import draw

SENTENCE = "where is the purple bird by the boat, and what time is it now"


def test_accents_speak_and_differ(tmp_path):
    made = accents.make(tmp_path, random.Random(1), 6)
    spoken = [hearing_data.say_espeak(voice + "+f2", SENTENCE, 160, 50, made.path) for voice in made.voices]
    plain = hearing_data.say_espeak("en-us+f2", SENTENCE, 160, 50)
    lengths = [len(pcm) for pcm in [*spoken, plain]]
    assert min(lengths) > 1.5 * hearing_data.RATE_HZ
    assert len({pcm.tobytes() for pcm in [*spoken, plain]}) == 7
    assert max(lengths) < 2 * min(lengths)


def test_accents_never_use_the_sounds_of_the_one_kept_back(tmp_path):
    made = accents.make(tmp_path, random.Random(2), 40)
    files = list((tmp_path / "espeak-ng-data" / "lang" / "gmw").iterdir())
    assert len(files) == len(made.voices)
    assert not any("phonemes en-sc" in file.read_text() for file in files)


def test_a_part_of_other_languages(tmp_path):
    count = hearing_data.make_foreign_part(tmp_path, "other", 6, 3)
    part = hearing_data.load_part(tmp_path / "other.json")
    assert count == len(part.utterances) == 6
    for item in part.utterances:
        assert item.question.kind == draw.FOREIGN
        assert not item.voice.endswith("f5")
        assert np.abs(part.samples(item)).max() > 0.4


def test_a_training_part_has_accents_and_no_voice_that_is_kept_back(tmp_path):
    hearing_data.make_training_part(tmp_path, "part", 8, 4)
    voices = [item.voice for item in hearing_data.load_part(tmp_path / "part.json").utterances]
    assert any(voice.startswith("en-x-made") for voice in voices)
    assert not set(voices) & {*hearing_data.TEST_ESPEAK_VOICES, "flite kal16"}
    assert not any(voice.endswith("+f5") or "scotland" in voice for voice in voices)


def test_speech_for_the_evaluation_follows_its_questions(tmp_path):
    def questions(words: str) -> list[draw.Question]:
        return [draw.Question(words, draw.TALK, "greet")]

    first = evaluate.spoken(tmp_path, "test_some", lambda: questions("hello there"))
    again = evaluate.spoken(tmp_path, "test_some", lambda: questions("hello there"))
    other = evaluate.spoken(tmp_path, "test_some", lambda: questions("good to see you again my friend"))
    assert np.array_equal(first[0][1], again[0][1])
    assert other[0][0].text.startswith("good")
    assert len(other[0][1]) > len(first[0][1])
