"""Read the usual AuthZEN request quickly: the same question that `app.api.access_models` would read, or None.

None is for everything else, malformed requests included: the documented route then reads the body again, slowly and
strictly, and says what is wrong. A property test holds the two readers to one another.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from app.api.strict_json import MAX_DEPTH, BadJsonError, number_hooks, unique_members
from app.core.article import Channel, Element
from app.core.decision import Participant, Request

_LONGEST_ID: Final = 512
_LONGEST_NAME: Final = 128
_decoder = json.JSONDecoder(object_pairs_hook=unique_members, **number_hooks())
_CHANNELS: Final = {channel.value: channel for channel in Channel}
_ELEMENTS: Final = {element.value: element for element in Element}
_NOTHING: Final[dict[str, Any]] = {}


def read_json(body: bytes) -> dict[str, Any] | None:
    """A JSON object without anything that needs a closer look: no escapes, little nesting, unique names."""
    if b"\\" in body or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None
    try:
        value, end = _decoder.raw_decode(body.decode())
    except (ValueError, RecursionError, BadJsonError):
        return None
    return value if isinstance(value, dict) and not body[end:].strip() else None


class QuickReader:
    """Reads questions; `ref` makes a subject's pseudonym from its type and id."""

    def __init__(self, ref: Callable[[str, str], bytes]) -> None:
        """Keep how pseudonyms are made."""
        self._ref = ref
        self._sets: dict[tuple[str, ...], frozenset[Element]] = {}

    def question(self, value: dict[str, Any]) -> Request | None:
        """The question, or None when something about it is unusual."""
        subject, action, resource = value.get("subject"), value.get("action"), value.get("resource")
        if type(subject) is not dict or type(action) is not dict or type(resource) is not dict:
            return None
        if type(value.get("context", _NOTHING)) is not dict:
            return None
        kind: Any = subject.get("type")
        name: Any = action.get("name")
        if not (_is_name(kind) and _is_id(subject.get("id")) and _is_name(name)):
            return None
        if not (_is_name(resource.get("type")) and _is_id(resource.get("id"))):
            return None
        of_action, of_resource = action.get("properties", _NOTHING), resource.get("properties", _NOTHING)
        if type(of_action) is not dict or type(of_resource) is not dict:
            return None
        return self._with_properties(kind, subject["id"], name, of_action, of_resource)

    def _with_properties(
        self, kind: str, identifier: str, name: str, of_action: dict[str, Any], of_resource: dict[str, Any]
    ) -> Request | None:
        automated, private = of_action.get("automated", True), of_resource.get("private", True)
        channel, territory = of_resource.get("channel", "online"), of_resource.get("territory", "FR")
        if type(automated) is not bool or type(private) is not bool:
            return None
        if type(channel) is not str or channel not in _CHANNELS or not _is_territory(territory):
            return None
        elements = self._elements(of_action["elements"]) if "elements" in of_action else None
        participants = self._participants(kind, of_resource["participants"]) if "participants" in of_resource else None
        if (elements is None and "elements" in of_action) or (participants is None and "participants" in of_resource):
            return None
        return Request(
            self._ref(kind, identifier),
            name,
            elements,
            automated,
            _CHANNELS[channel],
            private,
            territory,
            participants,
        )

    def _elements(self, words: Any) -> frozenset[Element] | None:  # noqa: ANN401 - any JSON value
        if type(words) is not list or not 0 < len(words) <= len(_ELEMENTS):
            return None
        if not all(type(word) is str and word in _ELEMENTS for word in words):
            return None
        key = tuple(words)
        found = self._sets.get(key)
        if found is None:
            found = self._sets[key] = frozenset(_ELEMENTS[word] for word in words)
        return found

    def _participants(self, kind: str, listed: Any) -> tuple[Participant, ...] | None:  # noqa: ANN401 - any JSON value
        if type(listed) is not list or len(listed) > MAX_DEPTH:
            return None
        read = []
        for each in listed:
            if type(each) is not dict or not _is_id(each.get("id")) or type(each.get("local")) is not bool:
                return None
            read.append(Participant(self._ref(kind, each["id"]), each["local"]))
        return tuple(read)


def _is_name(text: Any) -> bool:  # noqa: ANN401 - any JSON value
    return type(text) is str and 0 < len(text) <= _LONGEST_NAME and text.isprintable()


def _is_id(text: Any) -> bool:  # noqa: ANN401 - any JSON value
    return type(text) is str and 0 < len(text) <= _LONGEST_ID and text.isprintable()


def _is_territory(text: Any) -> bool:  # noqa: ANN401 - any JSON value
    return type(text) is str and len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()  # noqa: PLR2004
