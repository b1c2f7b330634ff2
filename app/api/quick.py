"""Read the usual AuthZEN request quickly: the same question that `app.api.access_models` would read, or None.

None is for everything else, malformed requests included: the documented route then reads the body again, slowly and
strictly, and says what is wrong. A property test holds the two readers to one another.

What makes it quick: the C
scanner of `json` without hooks, pseudonyms made only of those whose consent is asked for, and one look-up for all that
is the same in most requests (`Shape`). The scanner keeps the last of two members of one name, so what was read is
counted against what the body shows; a body that does not add up is parsed strictly instead.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from app.api.quick_parts import MAX_PARTICIPANTS, NOTHING, READERS, Listed, Part, is_name, is_territory, parts_of
from app.api.strict_json import BadJsonError, has_too_many_values, number_hooks, parse
from app.core.article import Channel, Element
from app.core.decision import Participant
from app.operations.prepared import Question, Shape

_MOST_SHAPES: Final = 1_000
_scan: Final[Callable[[str, int], tuple[Any, int]]] = json.JSONDecoder(**number_hooks()).scan_once  # type: ignore[attr-defined]  # documented in its source only
_CHANNELS: Final = {channel.value: channel for channel in Channel}
_ELEMENTS: Final = {element.value: element for element in Element}


class QuickReader:
    """Reads questions; `ref` makes a subject's pseudonym from its type and id."""

    def __init__(self, ref: Callable[[str, str], bytes]) -> None:
        """Keep how pseudonyms are made."""
        self._ref = ref
        self._shapes: dict[tuple[Any, ...], Shape] = {}

    def single(self, body: bytes) -> Question | None:
        """The question of a body, or None when something about it is unusual."""
        value = _scanned(body)
        parts = parts_of(value, {}) if value is not None else None
        if value is not None and parts is not None and _adds_up(body, len(value), 1, parts):
            return self._question(parts)
        value = _parsed(body)
        parts = parts_of(value, {}) if value is not None else None
        return self._question(parts) if parts is not None else None

    def batch(self, body: bytes, most: int) -> tuple[Sequence[Question], dict[str, Any]] | None:
        """The questions of a body of at most so many, and its `options`; or None when one of them is unusual."""
        value = _scanned(body)
        listed = _items(value, most) if value is not None else None
        if listed is None or not _adds_up(body, listed.members, listed.containers, listed.parts):
            value = _parsed(body)
            listed = _items(value, most) if value is not None else None
        if listed is None:
            return None
        questions = []
        for parts in listed.questions:
            question = self._question(parts)
            if question is None:
                return None
            questions.append(question)
        return questions, listed.options

    def _question(self, parts: Sequence[Part]) -> Question | None:
        kind, identifier = parts[0][0]
        of_resource = parts[2][0]
        key = (*parts[1][0], *of_resource[:3])
        try:
            shape = self._shapes.get(key) or self._shape(key)
        except TypeError:  # something in it is no word at all
            return None
        if shape is None:
            return None
        listed: Listed = of_resource[3]
        others = partial(self._participants, kind, listed) if listed is not None else None
        return Question(shape, self._ref(kind, identifier), others, of_resource[4], of_resource[5])

    def _shape(self, key: tuple[Any, ...]) -> Shape | None:
        name, automated, words, channel, private, territory = key
        if not is_name(name) or type(channel) is not str or channel not in _CHANNELS or not is_territory(territory):
            return None
        elements = None
        if words is not None:
            if not 0 < len(words) <= len(_ELEMENTS):
                return None
            if not all(type(word) is str and word in _ELEMENTS for word in words):
                return None
            elements = frozenset(_ELEMENTS[word] for word in words)
        if len(self._shapes) >= _MOST_SHAPES:
            self._shapes.clear()
        shape = self._shapes[key] = Shape(name, elements, automated, _CHANNELS[channel], private, territory)
        return shape

    def _participants(self, kind: str, listed: Sequence[tuple[str, bool]]) -> tuple[Participant, ...]:
        return tuple(Participant(self._ref(kind, identifier), local) for identifier, local in listed)


def _scanned(body: bytes) -> dict[str, Any] | None:
    """A JSON object, of members that may have stood there twice; None when it needs a closer look."""
    if b"\\" in body or has_too_many_values(body):
        return None
    try:
        text = body.decode()
        value, end = _scan(text, 0)
    except (ValueError, RecursionError, BadJsonError, StopIteration):
        return None
    if type(value) is not dict or (end != len(text) and text[end:].strip(" \t\r\n")):
        return None
    return value


def _parsed(body: bytes) -> dict[str, Any] | None:
    """A JSON object, read strictly."""
    try:
        value = parse(body)
    except BadJsonError:
        return None
    return value if type(value) is dict else None


def _adds_up(body: bytes, members: int, containers: int, parts: Sequence[Part]) -> bool:
    """Whether the body shows as many members and containers as were read: no other, and none twice.

    Only a string can hold a brace, and a quote before a colon ends a name: no string here holds a quote. A blank before
    a colon would hide a name from the count, so that one member could stand twice, and is not read here; nor are braces
    in strings, which do not add up. Both are slower and not wrong.
    """
    if b" :" in body or b"\n:" in body or b"\t:" in body or b"\r:" in body:
        return False
    for _, of_part, in_part in parts:
        members += of_part
        containers += in_part
    return body.count(b'":') == members and body.count(b"{") + body.count(b"[") == containers


@dataclass(slots=True)
class _Items:
    """A batch as read: the parts of each question, and all parts that were read, each once."""

    questions: list[tuple[Part, ...]]
    options: dict[str, Any]
    parts: list[Part]
    members: int
    containers: int


def _items(value: dict[str, Any], most: int) -> _Items | None:
    items, options = value.get("evaluations"), value.get("options", NOTHING)
    if type(items) is not list or not 0 < len(items) <= most or type(options) is not dict:
        return None
    defaults = {name: read(value[name]) for name, read in READERS.items() if name in value}
    parts = [part for part in defaults.values() if part is not None]
    named = 0
    found = _Items([], options, parts, len(value) + len(options), 2 + len(items) + ("options" in value))
    for item in items:
        if type(item) is not dict:
            return None
        of_item = parts_of(item, defaults)
        if of_item is None:
            return None
        listed: Listed = of_item[2][0][3]
        named += len(listed or ())
        if named > MAX_PARTICIPANTS:
            return None
        found.questions.append(of_item)
        found.members += len(item)
        parts += [part for name, part in zip(READERS, of_item, strict=True) if name in item]
    return found
