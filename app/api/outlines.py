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
                ids = _ids(found)
                return (outline, ids) if ids is not None else None
        return None

    def learn(self, body: bytes, outline: Outline) -> None:
        """Keep the outline of a body that was read and found good; one in a few is tried: it costs a second reading."""
        self._missed += 1
        if self._missed % _LEARN_ONE_IN or b"\\" in body or len(body) > _LONGEST_BODY:
            return
        pieces = body.split(b'"')
        places = _places(pieces)
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


def _ids(found: Sequence[bytes]) -> list[str] | None:
    try:
        ids = [each.decode() for each in found]
    except UnicodeDecodeError:
        return None
    for each in ids:
        if not each or len(each) > _LONGEST_ID or not each.isprintable():
            return None
    return ids


def _places(pieces: Sequence[bytes]) -> tuple[int, ...] | None:
    """Where the ids are, or None when there is a member that the service does not know.

    The body is read once more with each string replaced by its own place.
    """
    numbered = (b"%d" % place if place % 2 else piece for place, piece in enumerate(pieces))
    tree = named(json.loads(b'"'.join(numbered)), pieces)
    of_action, of_resource = tree[b"action"].get(b"properties", {}), tree[b"resource"].get(b"properties", {})
    participants = of_resource.get(b"participants", [])
    known = (
        (b"", tree),
        (b"subject", tree[b"subject"]),
        (b"action", tree[b"action"]),
        (b"resource", tree[b"resource"]),
        (b"context", tree.get(b"context", {})),
        (b"action properties", of_action),
        (b"resource properties", of_resource),
        *((b"participant", each) for each in participants),
    )
    if not all(part.keys() <= KNOWN[name] for name, part in known):
        return None
    ids = (tree[b"subject"][b"id"], tree[b"resource"][b"id"], *(each[b"id"] for each in participants))
    return tuple(int(each) for each in ids)


def named(value: Any, pieces: Sequence[bytes]) -> Any:  # noqa: ANN401 - any JSON value
    """The same value with its names put back; strings stay the places that they have."""
    if isinstance(value, dict):
        return {pieces[int(place)]: named(member, pieces) for place, member in value.items()}
    if isinstance(value, list):
        return [named(each, pieces) for each in value]
    return value
