"""Read a question by comparing it with one that was read before: the same bytes, but for the ids in it.

The bodies of a mail server differ in whom and what they are about, and in nothing else. What is left of a body without
its ids is its outline. When that is, byte for byte, the outline of a body that was read and found good, all that holds
for the one holds for the other, whatever the ids are, as long as they are ids. Only outlines without a member of the
callers' own are kept: what is kept holds no name, and there are few of them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.operations.prepared import Shape

_LONGEST_ID: Final = 512
_LONGEST_BODY: Final = 4_096
_MOST: Final = 1_000
_MOST_LAYOUTS: Final = 4
_LEARN_ONE_IN: Final = 4
KNOWN: Final = {
    b"": frozenset({b"subject", b"action", b"resource", b"context"}),
    b"subject": frozenset({b"type", b"id"}),
    b"action": frozenset({b"name", b"properties"}),
    b"resource": frozenset({b"type", b"id", b"properties"}),
    b"context": frozenset[bytes](),
    b"action properties": frozenset({b"elements", b"automated"}),
    b"resource properties": frozenset({b"channel", b"private", b"territory", b"participants"}),
    b"participant": frozenset({b"id", b"local"}),
}


@dataclass(slots=True)
class Outline:
    """What the bodies of one outline have in common; `locals_` says of each other party whether it is local."""

    shape: Shape
    subject_type: str
    resource_type: str
    locals_: tuple[bool, ...] | None


class Outlines:
    """The outlines that were learnt, with the places of the ids: the subject's, the resource's, the other parties'."""

    def __init__(self) -> None:
        """Know none."""
        self._held: dict[bytes, Outline] = {}
        self._layouts: dict[int, list[tuple[int, ...]]] = {}
        self._missed = 0

    def match(self, body: bytes) -> tuple[Outline, list[str]] | None:
        """The outline of a body and its ids, if it is known and they are ids."""
        if b"\\" in body:
            return None
        pieces = body.split(b'"')  # every second one is a string: none holds a quote
        for places in self._layouts.get(len(pieces), ()):
            found = [pieces[place] for place in places]
            bare = pieces.copy()
            for place in places:
                bare[place] = b""
            outline = self._held.get(b'"'.join(bare))
            if outline is not None:
                ids = ids_of(found)
                return (outline, ids) if ids is not None else None
        return None

    def learn(self, body: bytes, outline: Outline) -> None:
        """Keep the outline of a body that was read and found good; one in a few is tried: it costs a second reading."""
        self._missed += 1
        if self._missed % _LEARN_ONE_IN or b"\\" in body or len(body) > _LONGEST_BODY:
            return
        pieces = body.split(b'"')
        tree = read_numbered(pieces)
        places = places_of(tree) if tree.keys() <= KNOWN[b""] else None
        if places is None:
            return
        layouts = self._layouts.get(len(pieces), [])
        if len(self._held) >= _MOST or (places not in layouts and len(layouts) >= _MOST_LAYOUTS):
            self._held.clear()
            self._layouts.clear()
            layouts = []
        if places not in layouts:
            self._layouts[len(pieces)] = [*layouts, places]
        for place in places:
            pieces[place] = b""
        self._held[b'"'.join(pieces)] = outline


def ids_of(found: Sequence[bytes]) -> list[str] | None:
    """The ids as text, looked at together; None if one is none. A line's end is in none: it cannot be printed."""
    try:
        text = b"\n".join(found).decode()
    except UnicodeDecodeError:
        return None
    ids = text.split("\n")
    if len(ids) != len(found) or "" in ids or not "".join(ids).isprintable() or max(map(len, ids)) > _LONGEST_ID:
        return None
    return ids


def read_numbered(pieces: Sequence[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    """A body, split at its quotes, read once more with each string that is no name replaced by its own place."""
    numbered = (b"%d" % place if place % 2 else piece for place, piece in enumerate(pieces))
    return _named(json.loads(b'"'.join(numbered)), pieces)


def places_of(item: dict[bytes, Any]) -> tuple[int, ...] | None:
    """Where a question's ids are (the subject's, the resource's, the other parties'); None with an unknown member."""
    of_resource = item[b"resource"].get(b"properties", {})
    participants = of_resource.get(b"participants", [])
    parts = (
        (b"subject", item[b"subject"]),
        (b"action", item[b"action"]),
        (b"resource", item[b"resource"]),
        (b"context", item.get(b"context", {})),
        (b"action properties", item[b"action"].get(b"properties", {})),
        (b"resource properties", of_resource),
        *((b"participant", each) for each in participants),
    )
    if not all(part.keys() <= KNOWN[name] for name, part in parts):
        return None
    ids = (item[b"subject"][b"id"], item[b"resource"][b"id"], *(each[b"id"] for each in participants))
    return tuple(int(each) for each in ids)


def _named(value: Any, pieces: Sequence[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    """The same value with its names put back; strings stay the places that they have."""
    if isinstance(value, dict):
        return {pieces[int(place)]: _named(member, pieces) for place, member in value.items()}
    if isinstance(value, list):
        return [_named(each, pieces) for each in value]
    return value
