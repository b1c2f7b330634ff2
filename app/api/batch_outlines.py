"""Read a batch by comparing it with one that was read before: `app.api.outlines`, for many questions in one body.

A mail server asks about the recipients of each message in the same words. What differs is whom and what each item is
about; the rest of the body, byte for byte, is an outline whose meaning is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.api.outlines import KNOWN, ids_of, places_of, read_numbered
from app.operations.prepared import Question, Shape

_LONGEST_BODY: Final = 65_536
_MOST: Final = 64
_MOST_ALIKE: Final = 4
_LEARN_ONE_IN: Final = 4
_BATCH_MEMBERS: Final = KNOWN[b""] | {b"evaluations", b"options"}
_OPTIONS: Final = frozenset({b"evaluations_semantic"})


@dataclass(frozen=True, slots=True)
class ItemOutline:
    """One item: what is the same each time, and which of the body's ids are its own.

    `subject` and `resource` are positions among the ids, `others` those of the other parties with whether each is
    local; None when the item does not name them.
    """

    shape: Shape
    subject_type: str
    subject: int
    resource_type: str
    resource: int
    others: tuple[tuple[int, bool], ...] | None


@dataclass(frozen=True, slots=True)
class BatchOutline:
    """The items of the bodies of one outline, and the batch's `options`."""

    items: tuple[ItemOutline, ...]
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Known:
    """An outline as what stands between the ids, each piece with its length, and what stands after the last."""

    between: tuple[tuple[bytes, int], ...]
    last: bytes
    outline: BatchOutline


class BatchOutlines:
    """The outlines of batches that were learnt."""

    def __init__(self) -> None:
        """Know none."""
        self._held: dict[int, list[_Known]] = {}  # by how many quotes a body has
        self._missed = 0

    def match(self, body: bytes) -> tuple[BatchOutline, list[str]] | None:
        """The outline of a body and its ids, if it is known and they are ids."""
        if b"\\" in body:
            return None
        for known in self._held.get(body.count(b'"'), ()):
            found = _between(body, known)
            if found is not None:
                ids = ids_of(found)
                return (known.outline, ids) if ids is not None else None
        return None

    def learn(self, body: bytes, questions: Sequence[Question], options: dict[str, Any]) -> None:
        """Keep the outline of a body that was read as these questions; one in a few is tried."""
        self._missed += 1
        if self._missed % _LEARN_ONE_IN or b"\\" in body or len(body) > _LONGEST_BODY:
            return
        pieces = body.split(b'"')
        read = _items(pieces, questions)
        if read is None:
            return
        items, places = read
        alike = self._held.get(body.count(b'"'), [])
        if len(alike) >= _MOST_ALIKE or sum(map(len, self._held.values())) >= _MOST:
            self._held.clear()
            alike = []
        for place in places:
            pieces[place] = b""
        first, *more = b'"'.join(pieces).split(b'""')
        if len(more) != len(places):  # another string is empty too
            return
        between = [first + b'"', *(b'"%s"' % each for each in more[:-1])]
        known = _Known(tuple((each, len(each)) for each in between), b'"' + more[-1], BatchOutline(items, options))
        self._held[body.count(b'"')] = [known, *alike]


def _between(body: bytes, known: _Known) -> list[bytes] | None:
    """What stands in the places of the ids, if all that is around them is the same."""
    found = []
    at = 0
    for piece, length in known.between:
        if not body.startswith(piece, at):
            return None
        at += length
        end = body.find(b'"', at)
        if end < 0:
            return None
        found.append(body[at:end])
        at = end
    return found if body[at:] == known.last else None


def _items(
    pieces: Sequence[bytes], questions: Sequence[Question]
) -> tuple[tuple[ItemOutline, ...], tuple[int, ...]] | None:
    """What each item is without its ids, and the places of those; None when a member is not known.

    There are at least two places.
    """
    tree = read_numbered(pieces)
    if not (tree.keys() <= _BATCH_MEMBERS and tree.get(b"options", {}).keys() <= _OPTIONS):
        return None
    listed = [{**tree, **item} for item in tree[b"evaluations"]]
    if not all(item.keys() <= KNOWN[b""] for item in tree[b"evaluations"]):
        return None
    of_items = [own for item in listed if (own := places_of(item)) is not None]
    if len(of_items) != len(listed):
        return None
    places = tuple(sorted({place for own in of_items for place in own}))
    position = {place: number for number, place in enumerate(places)}
    items = []
    for question, item, own in zip(questions, listed, of_items, strict=True):
        subject, resource, *others = (position[place] for place in own)
        said = item[b"resource"].get(b"properties", {}).get(b"participants")
        parties = None if said is None else tuple(zip(others, (each[b"local"] for each in said), strict=True))
        kind = pieces[int(item[b"subject"][b"type"])].decode()
        items.append(ItemOutline(question.shape, kind, subject, question.kind, resource, parties))
    return tuple(items), places
