"""The tokenizer of letter pairs and the clock of speech."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import config, measure_words, text, timing, word_clock


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_comes_back(words: str) -> None:
    assert text.decode(text.encode(words), skip_special=False) == words


def test_the_assistant_header_is_three_tokens() -> None:
    header = text.encode("<|im_start|>assistant\n")
    assert header == [text.IM_START, text.ASSISTANT, text.NEWLINE]
    assert text.encode("<|im_start|>user\n") == [text.IM_START, text.USER, text.NEWLINE]


def test_words_are_cut_into_pairs_from_their_start() -> None:
    names = [text.tokenizer().id_to_token(number) for number in text.encode("a purple circle")]
    assert names == ["a", "\u0120pu", "rp", "le", "\u0120ci", "rc", "le"]


def test_special_ids_lie_behind_the_vocabulary_and_inside_the_table() -> None:
    assert text.HOLD < text.VOCAB_SIZE
    assert text.tokenizer().token_to_id("<|im_start|>") == text.IM_START
    assert config.text_embedding().shape == (text.VOCAB_SIZE, config.HIDDEN)


REPLIES = [
    "Yes.",
    "I see a red square on the left and a blue circle on the right.",
    "Sorry, I did not understand that. Please say it again!",
    "It says stop.",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_without_its_holds_is_the_reply(reply: str) -> None:
    assert text.decode(timing.speakable_tokens(reply)) == reply


@pytest.mark.parametrize("reply", REPLIES)
def test_every_word_arrives_before_it_is_spoken(reply: str) -> None:
    plan = timing.plan(reply)
    position = 0
    for number, (word, start) in enumerate(zip(plan.words, plan.starts, strict=True)):
        tokens = text.encode(word if number == 0 else " " + word)
        while plan.token_ids[position : position + len(tokens)] != tokens:
            assert plan.token_ids[position] == text.HOLD
            position += 1
        assert max(0, start - timing.LOOKAHEAD_FRAMES) <= position < start
        position += len(tokens)
    assert plan.n_frames > len(plan.token_ids)


def test_words_follow_each_other_without_overlap() -> None:
    plan = timing.plan(REPLIES[2])
    ends = [start + length for start, length in zip(plan.starts, plan.lengths, strict=True)]
    assert all(end <= start for end, start in zip(ends, plan.starts[1:], strict=False))
    assert ends[-1] + timing.TAIL_FRAMES <= plan.n_frames


@pytest.mark.parametrize("reply", ["", " ... ", "?!"])
def test_nothing_to_speak_is_refused(reply: str) -> None:
    with pytest.raises(ValueError, match="no word to speak"):
        timing.plan(reply)


def test_the_word_table_holds_the_domain() -> None:
    from training.voice_texts import domain_texts

    known = {tuple(key.rsplit("|", 1)) for key in word_clock.table()}
    wanted = {(core, str(int(final))) for core, final in measure_words.words_of(domain_texts(draws=300))}
    assert len(wanted - known) <= len(wanted) // 50, sorted(wanted - known)[:20]


def test_letters_alone_are_single_tokens_at_most_two() -> None:
    assert all(len(text.encode(" " + letter)) <= 2 for letter in string.ascii_letters)
