"""What the model remembers of one conversation: the caches of Thinker and Talker and the ledger of what is in them.

Thinker and Talker see the same user turns; the Talker never sees instructions or earlier replies. Both caches hold
rows in the order of the ledger, so a piece of the conversation can be cut out of both by dropping its rows: keys carry
their own positions, and nothing is computed again.

Going back: a mark is a number of ledger pieces plus the positions and the tokens that wait; restoring it cuts both
caches there. The Talker's cache holds user turns only; a reply's own rows are cut off when it ends. A fork
(`transcribe_user`) writes behind the last row with the rows after its starting point masked, and forgets it again.

Bounded: when the budget is reached, pieces of earlier turns are dropped (pictures, then sound, then text and replies,
oldest first) down to 80 % of it, in one compaction. When that leaves a gap of positions of a quarter of
`max_position_embeddings`, all later keys are turned back by the gap, so positions stay in the trained range for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.errors import InputError
from model.network.decoder import DeepStack

if TYPE_CHECKING:
    from model.flash import Flash

PREFILL_ROWS = 512  # rows per forward: bounds the memory of masks and activations
GAP_SHARE = 0.25  # of the positions that the model was trained on
EVICT_TO = 0.8  # an eviction frees this much at once, so that its cost is spread over many turns


class Kind(Enum):
    """What a piece of the conversation is; decides when it may be evicted."""

    INSTRUCTIONS = "instructions"
    FRAME = "frame"  # role headers and ends of turns
    PICTURE = "picture"
    SOUND = "sound"
    TEXT = "text"
    REPLY = "reply"


@dataclass
class Piece:
    """Consecutive rows of both caches that belong to one item."""

    item: int
    kind: Kind
    turn: int
    n_thinker: int
    n_talker: int
    thinker_position: float  # of its first row
    talker_position: float


@dataclass(frozen=True)
class TextRows:
    """Token ids to read. `jump` moves their positions on first (after pictures at the end of a span)."""

    item: int
    kind: Kind
    ids: tuple[int, ...]
    in_talker: bool = True
    jump: float = 0.0
    turn: int = -1  # set when deferred: the turn that it ends or opens

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class MediaRows:
    """Embeddings of sound or of a picture to read."""

    item: int
    kind: Kind
    embeddings: Tensor  # [n, H]
    positions: Tensor  # [3, n] float32, relative to the next position
    advance: float  # how far they move the next position
    deepstack: Tensor | None = None  # [layers, n, H]
    in_talker: bool = True

    def __len__(self) -> int:
        return int(self.embeddings.shape[0])


Rows = TextRows | MediaRows


@dataclass
class Mark:
    """A place to come back to, kept up to date when earlier pieces are dropped."""

    n_pieces: int
    thinker_position: float
    talker_position: float
    pending: tuple[TextRows, ...]
    turn: int
    is_valid: bool = True


@dataclass
class Context:
    """Caches, ledger and positions. One owning thread: the session's."""

    flash: Flash
    max_positions: int
    max_turns: int | None = None  # whole turns that are kept, the present one included
    pieces: list[Piece] = field(default_factory=list)
    pending: list[TextRows] = field(default_factory=list)  # tokens to read with whatever comes next
    turn: int = 0
    thinker_position: float = 0.0
    talker_position: float = 0.0
    marks: list[Mark] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thinker_cache = self.flash.new_thinker_cache(self.max_positions)
        self.talker_cache = self.flash.new_talker_cache(self.max_positions)

    # ---- reading -------------------------------------------------------------------------------------------------

    def defer(self, rows: TextRows) -> None:
        """Tokens that are read together with the next rows."""
        self.pending.append(replace(rows, turn=self.turn))

    def prefill(self, rows: Sequence[Rows]) -> Tensor:
        """Reads the pending tokens and `rows` -> the Thinker's hidden state of the last one [1, H].

        Raises InputError when the current turn does not fit the budget of positions.
        """
        everything: list[Rows] = [*self.pending, *rows]
        count = sum(len(part) for part in everything)
        if not count:
            raise ValueError("nothing to read")
        self.make_room(count)
        self.pending.clear()
        hidden: Tensor | None = None
        for group in _groups(everything):
            hidden = self._read(group)
        assert hidden is not None
        return hidden

    def _read(self, group: Sequence[Rows]) -> Tensor:
        flash = self.flash
        embeddings, positions, talker_positions = [], [], []
        picture_rows, features = [], []
        position, talker_position, start = self.thinker_position, self.talker_position, 0
        for part in group:
            n_rows = len(part)
            if isinstance(part, TextRows):
                position += part.jump
                relative = torch.arange(n_rows, dtype=torch.float32).expand(3, n_rows)
                advance, jump = float(n_rows), part.jump
                embeddings.append(flash.thinker.embed(torch.tensor(part.ids, device=flash.device)))
            else:
                relative, advance, jump = part.positions, part.advance, 0.0
                embeddings.append(part.embeddings)
                if part.deepstack is not None:
                    picture_rows.append(torch.arange(start, start + n_rows, device=flash.device))
                    features.append(part.deepstack)
            positions.append(relative + position)
            position += advance
            if part.in_talker:
                talker_positions.append(relative + (talker_position + jump))
                talker_position += jump + advance
            start += n_rows
        deepstack = DeepStack(torch.cat(picture_rows), torch.cat(features, dim=1)) if picture_rows else None
        rope = flash.thinker_rope.multimodal(torch.cat(positions, dim=1))
        x = torch.cat(embeddings)
        has_talker = bool(talker_positions) and flash.talker is not None
        needs_hidden = has_talker and any(isinstance(part, MediaRows) for part in group)
        out = flash.thinker(x, rope, self.thinker_cache, deepstack, capture=needs_hidden)
        if has_talker and flash.talker is not None:
            talker_rows = self._talker_rows(group, x, out.accepted)
            talker_rope = flash.talker_rope.multimodal(torch.cat(talker_positions, dim=1))
            flash.talker(talker_rows, talker_rope, self.talker_cache)
        for part in group:
            n_talker = len(part) if part.in_talker and has_talker else 0
            turn = part.turn if isinstance(part, TextRows) and part.turn >= 0 else self.turn
            self.note(part.item, part.kind, len(part), n_talker, turn)
            advance = len(part) + part.jump if isinstance(part, TextRows) else part.advance
            self.thinker_position += advance
            self.talker_position += advance if part.in_talker else 0.0
        last: Tensor = out.hidden[-1:]
        return last

    def _talker_rows(self, group: Sequence[Rows], x: Tensor, accepted: Tensor | None) -> Tensor:
        """Text goes to the Talker as its embedding, sound and pictures as the Thinker's hidden state. [n, H_talker]"""
        talker = self.flash.talker
        assert talker is not None
        rows, start = [], 0
        for part in group:
            end = start + len(part)
            if part.in_talker:
                if isinstance(part, TextRows):
                    rows.append(talker.text_projection(x[start:end]))
                else:
                    assert accepted is not None
                    rows.append(talker.hidden_projection(accepted[start:end]))
            start = end
        joined: Tensor = torch.cat(rows)
        return joined

    def step(self, token: Tensor, item: int) -> Tensor:
        """Reads one generated token [1] of the reply `item` -> hidden [1, H]."""
        flash = self.flash
        self.note(item, Kind.REPLY, 1, 0, self.turn)
        rope = flash.thinker_rope.text(self.thinker_position, 1)
        out = flash.thinker(flash.thinker.embed(token), rope, self.thinker_cache, capture=False)
        self.thinker_position += 1.0
        hidden: Tensor = out.hidden
        return hidden

    def wrote(self, item: int, count: int) -> None:
        """Counts `count` generated tokens of the reply `item` that are in the cache already."""
        if not count:
            return
        self.note(item, Kind.REPLY, count, 0, self.turn)
        self.thinker_cache.advance(count)
        self.thinker_position += count

    def note(self, item: int, kind: Kind, n_thinker: int, n_talker: int, turn: int) -> None:
        """Enters rows in the ledger; joins them to the last piece if they belong to it and no mark lies between."""
        last = self.pieces[-1] if self.pieces else None
        is_marked = any(mark.n_pieces == len(self.pieces) for mark in self.marks)
        same = last is not None and (last.item, last.kind, last.turn) == (item, kind, turn)
        if last is not None and same and not is_marked and bool(last.n_talker) == bool(n_talker):
            last.n_thinker += n_thinker
            last.n_talker += n_talker
        else:
            self.pieces.append(
                Piece(item, kind, turn, n_thinker, n_talker, self.thinker_position, self.talker_position)
            )

    # ---- going back ----------------------------------------------------------------------------------------------

    def mark(self) -> Mark:
        """The present, to come back to with `restore`. `release` it when it is no longer needed."""
        mark = Mark(len(self.pieces), self.thinker_position, self.talker_position, tuple(self.pending), self.turn)
        self.marks.append(mark)
        return mark

    def release(self, mark: Mark | None) -> None:
        """Forgets a mark."""
        if mark is not None:
            self.marks = [other for other in self.marks if other is not mark]

    def restore(self, mark: Mark) -> None:
        """Goes back to `mark`: whatever came later never existed. The mark stays valid."""
        if not mark.is_valid:
            raise InputError("what should be undone has been evicted from the conversation already")
        for other in self.marks:
            if other.n_pieces > mark.n_pieces:
                other.is_valid = False
        del self.pieces[mark.n_pieces :]
        self.thinker_cache.truncate(sum(piece.n_thinker for piece in self.pieces))
        self.talker_cache.truncate(sum(piece.n_talker for piece in self.pieces))
        self.thinker_position, self.talker_position = mark.thinker_position, mark.talker_position
        self.pending = list(mark.pending)
        self.turn = mark.turn

    def readmit(self, item: int, kind: Kind, count: int) -> None:
        """Takes back the first `count` text rows behind the present that restore() has just left."""
        self.thinker_cache.advance(count)
        self.note(item, kind, count, 0, self.turn)
        self.thinker_position += count

    def trim_talker(self) -> None:
        """Drops the Talker's rows that are not in the ledger: those of a reply."""
        self.talker_cache.truncate(sum(piece.n_talker for piece in self.pieces))

    # ---- forgetting ----------------------------------------------------------------------------------------------

    def begin_turn(self) -> None:
        """The next turn begins: whole turns beyond `max_turns` are forgotten before anything of it is read."""
        self.turn += 1
        if self.max_turns is None:
            return
        oldest = self.turn - self.max_turns + 1
        self.drop(n for n, p in enumerate(self.pieces) if p.kind is not Kind.INSTRUCTIONS and p.turn < oldest)
        self.pending = [rows for rows in self.pending if rows.turn >= oldest]
        for mark in self.marks:
            mark.pending = tuple(rows for rows in mark.pending if rows.turn >= oldest)
        self._close_gap(at_least=0.0)

    def make_room(self, count: int) -> None:
        """Evicts until `count` more positions fit: oldest pictures, then oldest sound, then oldest text.

        Instructions and the current turn stay. Raises InputError when those alone leave no room.
        """
        if self.thinker_cache.length + count <= self.max_positions:
            return
        goal = int(self.max_positions * EVICT_TO) - count
        dropped: set[int] = set()
        length = self.thinker_cache.length
        for kinds in ((Kind.PICTURE,), (Kind.SOUND,), (Kind.TEXT, Kind.REPLY)):
            for number, piece in enumerate(self.pieces):
                if length <= goal:
                    break
                if piece.kind in kinds and piece.turn < self.turn:
                    dropped.add(number)
                    length -= piece.n_thinker
            frames = self._empty_frames(dropped)
            length -= sum(self.pieces[number].n_thinker for number in frames)
            dropped |= frames
        if length + count > self.max_positions:
            raise InputError(
                f"the current turn needs {count} more positions, but instructions and this turn already fill {length} "
                f"of {self.max_positions}; call reply() or clear(), or open the session with a larger max_positions"
            )
        self.drop(dropped)
        self._close_gap()

    def _close_gap(self, at_least: float | None = None) -> None:
        """Moves the conversation's positions back behind the instructions when evictions have left a wide gap.

        Positions would otherwise grow without bound, beyond what the model was trained on. Keys are turned in place;
        the distances between what is kept stay as they are, the instructions come nearer. A gap is wide from `at_least`
        positions on, by default a share of those the model was trained on.
        """
        kept = (n for n, piece in enumerate(self.pieces) if piece.kind is not Kind.INSTRUCTIONS)
        n_fixed = next(kept, len(self.pieces))
        first = self.pieces[n_fixed] if n_fixed < len(self.pieces) else None
        fixed_rows = self.rows_before(n_fixed)
        thinker_gap = (self.thinker_position if first is None else first.thinker_position) - fixed_rows
        talker_gap = self.talker_position if first is None else first.talker_position
        if at_least is None:
            at_least = self.flash.config.thinker.text.max_position_embeddings * GAP_SHARE
        if max(thinker_gap, talker_gap) < at_least:
            return
        self.thinker_cache.shift(fixed_rows, -thinker_gap, self.flash.thinker_rope.inv_freq)
        self.talker_cache.shift(0, -talker_gap, self.flash.talker_rope.inv_freq)
        for piece in self.pieces[n_fixed:]:
            piece.thinker_position -= thinker_gap
            piece.talker_position -= talker_gap
        for mark in self.marks:
            mark.thinker_position = max(mark.thinker_position - thinker_gap, float(fixed_rows))
            mark.talker_position = max(mark.talker_position - talker_gap, 0.0)
        self.thinker_position -= thinker_gap
        self.talker_position -= talker_gap

    def _empty_frames(self, dropped: set[int]) -> set[int]:
        """Headers and ends of earlier turns that have nothing left between them."""
        content = {
            piece.turn
            for number, piece in enumerate(self.pieces)
            if number not in dropped and piece.kind is not Kind.FRAME
        }
        return {
            number
            for number, piece in enumerate(self.pieces)
            if number not in dropped
            and piece.kind is Kind.FRAME
            and piece.turn < self.turn
            and piece.turn not in content
        }

    def drop(self, numbers: Iterable[int]) -> None:
        """Removes whole pieces from both caches; the rest moves together."""
        dropped = set(numbers)
        if not dropped:
            return
        self._gather(dict.fromkeys(dropped, 0))
        for mark in self.marks:
            mark.n_pieces -= sum(1 for number in dropped if number < mark.n_pieces)
        self.pieces = [piece for number, piece in enumerate(self.pieces) if number not in dropped]

    def forget_pending(self, item: int) -> None:
        """Removes what waits of an item."""
        self.pending = [rows for rows in self.pending if rows.item != item]
        for mark in self.marks:
            mark.pending = tuple(rows for rows in mark.pending if rows.item != item)

    def shorten(self, number: int, n_thinker: int) -> None:
        """Keeps only the first `n_thinker` rows of a piece that the Talker does not have."""
        self._gather({number: n_thinker})
        self.pieces[number].n_thinker = n_thinker

    def _gather(self, kept_of: dict[int, int]) -> None:
        keep_thinker, keep_talker = [], []
        thinker_start = talker_start = 0
        for number, piece in enumerate(self.pieces):
            n_thinker = kept_of.get(number, piece.n_thinker)
            n_talker = 0 if number in kept_of else piece.n_talker
            keep_thinker.append(torch.arange(thinker_start, thinker_start + n_thinker))
            keep_talker.append(torch.arange(talker_start, talker_start + n_talker))
            thinker_start += piece.n_thinker
            talker_start += piece.n_talker
        self.thinker_cache.keep(torch.cat(keep_thinker))
        self.talker_cache.keep(torch.cat(keep_talker))

    def rows_before(self, n_pieces: int) -> int:
        """Thinker rows of the first pieces."""
        return sum(piece.n_thinker for piece in self.pieces[:n_pieces])


def _groups(parts: Sequence[Rows]) -> Iterable[list[Rows]]:
    """Splits rows into forwards of at most PREFILL_ROWS (media stays whole)."""
    group: list[Rows] = []
    size = 0
    for part in parts:
        for piece in _split(part):
            if group and size + len(piece) > PREFILL_ROWS:
                yield group
                group, size = [], 0
            group.append(piece)
            size += len(piece)
    if group:
        yield group


def _split(part: Rows) -> Iterable[Rows]:
    if isinstance(part, MediaRows) or len(part) <= PREFILL_ROWS:
        yield part
        return
    for start in range(0, len(part), PREFILL_ROWS):
        jump = part.jump if start == 0 else 0.0
        yield replace(part, ids=part.ids[start : start + PREFILL_ROWS], jump=jump)
