"""A bounded budget of positions: what goes first, what never goes, and 2,000 turns at flat memory and time."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.conversation.context import Kind
from model.conversation.session import Session
from model.errors import InputError
from model.flash import Flash
from model.network.layers import rotate
from tests.model.talk import greedy_session, noise, picture, say

N_TURNS_YOUNG = 250
N_TURNS = 2000
SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


def kinds(session: Session) -> dict[Kind, int]:
    """Thinker rows of each kind."""
    out = dict.fromkeys(Kind, 0)
    for piece in session.context.pieces:
        out[piece.kind] += piece.n_thinker
    return out


def check_ledger(session: Session) -> None:
    """The ledger accounts for every row of both caches, and the budget holds."""
    context = session.context
    assert sum(piece.n_thinker for piece in context.pieces) == context.thinker_cache.length
    assert sum(piece.n_talker for piece in context.pieces) == context.talker_cache.length
    assert context.thinker_cache.length <= context.max_positions
    for mark in context.marks:
        assert 0 <= mark.n_pieces <= len(context.pieces)


def turn(session: Session, number: int, *, max_tokens: int = 4) -> None:
    """A turn with a picture, sound, text and a reply."""
    session.see(picture(64, 64, number), at_s=0.2)
    session.hear(noise(1.2, number))
    session.read(f"turn {number}")
    say(session, max_tokens=max_tokens, max_frames=1)


def test_pictures_go_first_then_sound_then_text(flash: Flash) -> None:
    session = greedy_session(flash, "Be brief.", max_positions=300)
    instructions = kinds(session)[Kind.INSTRUCTIONS]
    seen_without_pictures = seen_without_sound = False
    last_turn_rows = None
    for number in range(40):
        turn(session, number)
        check_ledger(session)
        current = session.context.turn
        old = [piece for piece in session.context.pieces if piece.turn < current and piece.kind is not Kind.FRAME]
        has = {kind: [piece.turn for piece in old if piece.kind is kind] for kind in Kind}
        assert kinds(session)[Kind.INSTRUCTIONS] == instructions
        now = sorted((piece.kind.value, piece.n_thinker) for piece in session.context.pieces if piece.turn == current)
        assert last_turn_rows in (None, now) or number < 11  # the current turn is always whole ("turn 9", "turn 10")
        last_turn_rows = now if number >= 10 else None
        # Nothing is evicted while something that goes earlier is left of an older turn.
        if has[Kind.SOUND] and has[Kind.TEXT] and min(has[Kind.SOUND]) > min(has[Kind.TEXT]):
            assert not [t for t in has[Kind.PICTURE] if t < min(has[Kind.SOUND])]
            seen_without_pictures = True
        if has[Kind.TEXT] and min(has[Kind.TEXT]) > 1:
            seen_without_sound = True
    assert seen_without_pictures
    assert seen_without_sound


@given(
    budget=st.integers(150, 500),
    moves=st.lists(st.sampled_from(["see", "hear", "read", "reply", "undo", "cut", "clear", "ask"]), max_size=40),
)
@settings(max_examples=8, **SHARED)
def test_any_conversation_keeps_its_books(flash: Flash, budget: int, moves: list[str]) -> None:
    session = greedy_session(flash, "Be brief.", max_positions=budget)
    for number, move in enumerate(moves):
        try:
            if move == "see":
                session.see(picture(64, 64, number), at_s=0.1 * number)
            elif move == "hear":
                session.hear(noise(1.1, number))
            elif move == "read":
                session.read(f"number {number}")
            elif move == "reply":
                say(session, max_tokens=5, max_frames=1)
            elif move in ("undo", "cut"):
                session.interrupt(heard_ms=0 if move == "undo" else 60)
            elif move == "clear":
                session.clear()
            else:
                session.transcribe_user(max_tokens=3)
        except InputError:
            pass  # nothing to reply to, nothing to undo, a turn that outgrew the budget: refused, and nothing broken
        check_ledger(session)
    session.clear()
    session.read("end") if session.n_positions < 100 else None
    check_ledger(session)


def test_nothing_is_read_again(flash: Flash) -> None:
    """Evictions and compaction run no model: the rows read in all are those that came in."""
    session = greedy_session(flash, "Be brief.", max_positions=260)
    rows: list[int] = []
    read = session.context._read
    session.context._read = lambda group: rows.append(sum(map(len, group))) or read(group)  # type: ignore[method-assign]
    for number in range(12):
        turn(session, number)
    # Per turn: header 3, span 4, picture 4, sound 16, "turn N", end 2, header 3; the reply's end 2 with the next turn.
    expected = sum(3 + 4 + 4 + 16 + len(f"turn {number}") + 5 for number in range(12)) + 2 * 11
    assert sum(rows) == expected


def test_what_stays_is_untouched(flash: Flash) -> None:
    """Rows that survive an eviction are the same keys and values as before."""
    session = greedy_session(flash, "Be brief.", max_positions=1000)
    for number in range(3):
        turn(session, number)
    context = session.context
    keys = context.thinker_cache.keys[0][:, : context.thinker_cache.length].clone()
    flags = torch.cat(
        [
            torch.full((piece.n_thinker,), not (piece.kind is Kind.PICTURE and piece.turn == 1))
            for piece in context.pieces
        ]
    )
    context.drop([n for n, piece in enumerate(context.pieces) if piece.kind is Kind.PICTURE and piece.turn == 1])
    assert torch.equal(context.thinker_cache.keys[0][:, : context.thinker_cache.length], keys[:, flags])


def test_turn_that_outgrows_the_budget(flash: Flash) -> None:
    session = greedy_session(flash, "Be brief.", max_positions=200)
    turn(session, 0)
    with pytest.raises(InputError, match=r"clear\(\)"):
        session.hear(noise(40.0))
    session.clear()
    turn(session, 1)
    check_ledger(session)


def test_moved_keys_are_the_keys_of_the_moved_positions(flash: Flash) -> None:
    cache = flash.new_thinker_cache(64)
    rope = flash.thinker_rope
    generator = torch.Generator().manual_seed(0)
    k = torch.randn(10, cache.keys[0].shape[0], cache.keys[0].shape[2], generator=generator)
    positions = torch.rand(3, 10, generator=generator) * 50 + 3000
    for layer in range(len(cache.keys)):
        cache.append(layer, rotate(k, *rope.multimodal(positions)), k)
    cache.advance(10)
    cache.shift(4, -2990.0, rope.inv_freq)
    for keys in cache.keys:
        torch.testing.assert_close(keys[:, :4].transpose(0, 1), rotate(k, *rope.multimodal(positions))[:4])
        moved = rotate(k, *rope.multimodal(positions - 2990.0))[4:]
        torch.testing.assert_close(keys[:, 4:10].transpose(0, 1), moved, atol=2e-3, rtol=0)


def take_turn(session: Session, number: int) -> float:
    """The `number`th turn of a conversation; returns its processor time in seconds."""
    start = process_time()
    if number % 50 == 0:
        session.see(picture(64, 64), at_s=0.5)
        session.hear(noise(1.1))
    session.read("go on")
    for _ in session.reply(max_tokens=2, max_frames=1, speech=number % 10 == 0):
        pass
    if number % 100 == 7:
        session.interrupt(heard_ms=0)
    return process_time() - start


@pytest.mark.slow
def test_two_thousand_turns(flash_of: Callable[[str], Flash]) -> None:
    """Memory, cost and positions of a turn do not depend on how many came before."""
    flash = flash_of("small")
    session = greedy_session(flash, "Be brief.", max_positions=400)
    context = session.context
    sizes: set[int] = set()
    for number in range(N_TURNS):
        take_turn(session, number)
        if number > 200:
            sizes.add(context.thinker_cache.n_bytes + context.talker_cache.n_bytes)
    check_ledger(session)
    assert len(sizes) == 1  # the buffers stopped growing
    assert len(context.pieces) < 400
    assert len(context.marks) < 8
    limit = flash.config.thinker.text.max_position_embeddings
    assert context.thinker_position < limit
    # Beside a young conversation whose budget is full too, turn by turn, so that other programs disturb both alike.
    young = greedy_session(flash, "Be brief.", max_positions=400)
    for number in range(N_TURNS_YOUNG):
        take_turn(young, number)
    more = range(N_TURNS_YOUNG, 2 * N_TURNS_YOUNG)
    pairs = [(take_turn(young, number), take_turn(session, number)) for number in more]
    early, late = (sorted(times)[len(times) // 4] for times in zip(*pairs, strict=True))
    assert late < 1.3 * early


def test_positions_stay_bounded(flash: Flash) -> None:
    """Positions are moved back before they leave what the model was trained on."""
    session = greedy_session(flash, "Be brief.", max_positions=300)
    context = session.context
    context.thinker_position += 9000.0  # as after hours of talk
    context.talker_position += 9000.0
    for number in range(12):
        turn(session, number)
    assert context.thinker_position < 1000
    assert context.talker_position < 1000
    check_ledger(session)


def only_turns(session: Session) -> set[int]:
    return {piece.turn for piece in session.context.pieces if piece.kind is not Kind.INSTRUCTIONS}


@pytest.mark.parametrize("max_turns", [1, 2])
def test_a_checkpoint_that_carries_few_turns_forgets_the_others(flash: Flash, max_turns: int) -> None:
    session = greedy_session(flash, "Be brief.")
    session.context.max_turns = max_turns
    instructions = kinds(session)[Kind.INSTRUCTIONS]
    for number in range(5):
        turn(session, number)
        check_ledger(session)
        assert kinds(session)[Kind.INSTRUCTIONS] == instructions
        assert len(only_turns(session)) == min(number + 1, max_turns)
    first = next(piece for piece in session.context.pieces if piece.kind is not Kind.INSTRUCTIONS)
    assert first.thinker_position == instructions
    assert first.talker_position == 0


def test_with_one_turn_every_turn_is_as_the_first(flash: Flash) -> None:
    later, fresh = greedy_session(flash, "Be brief."), greedy_session(flash, "Be brief.")
    later.context.max_turns = 1
    turn(later, 1)
    turn(later, 2)
    replies = []
    for session in (later, fresh):
        session.see(picture(64, 64, 3), at_s=0.2)
        session.hear(noise(1.2, 3))
        session.read("turn 3")
        replies.append(say(session, max_tokens=6, max_frames=1).text)
    assert replies[0] == replies[1]
    assert later.n_positions == fresh.n_positions


def test_a_reply_can_be_cut_after_the_turn_that_made_it_forgotten(flash: Flash) -> None:
    session = greedy_session(flash, "Be brief.")
    session.context.max_turns = 1
    session.read("one")
    said = say(session, max_tokens=6, max_frames=5)
    session.hear(noise(3.0, 1))
    assert said.text.startswith(session.interrupt(80.0))
    assert session.interrupt(0) == ""
    check_ledger(session)
    say(session, max_tokens=3, max_frames=1)


def test_clearing_what_began_a_turn_leaves_the_conversation_in_order(flash: Flash) -> None:
    session = greedy_session(flash, "Be brief.")
    session.context.max_turns = 1
    turn(session, 1)
    session.hear(noise(3.0, 1))
    session.clear()
    check_ledger(session)
    turn(session, 2)
    fresh = greedy_session(flash, "Be brief.")
    turn(fresh, 2)
    assert session.n_positions == fresh.n_positions
