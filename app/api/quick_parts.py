"""The parts of a question as `app.api.quick` reads them: a subject, an action, a resource, a context; None if unusual.

Each says how many members and containers its JSON has, so that the reader can tell whether a body adds up.
"""

from collections.abc import Callable
from typing import Any, Final, TypeGuard

from app.api.strict_json import MAX_DEPTH

MAX_PARTICIPANTS: Final = 10_000
"""Of all questions of a request together."""
_LONGEST_ID: Final = 512
_LONGEST_NAME: Final = 128
NOTHING: Final[dict[str, Any]] = {}
_NOT_SAID: Final = object()

Listed = list[tuple[str, bool]] | None
"""Other parties: each id, and whether it is local."""

Part = tuple[tuple[Any, ...], int, int]
"""One part of a question as read, with how many members and containers its JSON has."""

NO_CONTEXT: Final[Part] = ((), 0, 0)


def parts_of(value: dict[str, Any], defaults: dict[str, Part | None]) -> tuple[Part, Part, Part, Part] | None:
    """Subject, action, resource and context of a question; what it does not have is taken from the defaults."""
    subject = _subject(value["subject"]) if "subject" in value else defaults.get("subject")
    action = _action(value["action"]) if "action" in value else defaults.get("action")
    resource = _resource(value["resource"]) if "resource" in value else defaults.get("resource")
    context = _context(value["context"]) if "context" in value else defaults.get("context", NO_CONTEXT)
    if subject is None or action is None or resource is None or context is None:
        return None
    return subject, action, resource, context


def _subject(value: Any) -> Part | None:  # noqa: ANN401 - any JSON value
    if type(value) is not dict:
        return None
    kind, identifier = value.get("type"), value.get("id")
    if not (is_name(kind) and _is_id(identifier)):
        return None
    return ((kind, identifier), len(value), 1)


def _action(value: Any) -> Part | None:  # noqa: ANN401 - any JSON value
    if type(value) is not dict:
        return None
    properties = value.get("properties", NOTHING)
    if type(properties) is not dict:
        return None
    automated: Any = properties.get("automated", True)
    words: Any = properties.get("elements", _NOT_SAID)
    if (automated is not True and automated is not False) or (type(words) is not list and words is not _NOT_SAID):
        return None
    elements: tuple[Any, ...] | None = tuple(words) if type(words) is list else None
    containers = 1 + ("properties" in value) + (elements is not None)
    return (value.get("name"), automated, elements), len(value) + len(properties), containers


def _resource(value: Any) -> Part | None:  # noqa: ANN401 - any JSON value
    if type(value) is not dict:
        return None
    kind, identifier = value.get("type"), value.get("id")
    if not (is_name(kind) and _is_id(identifier)):
        return None
    properties = value.get("properties", NOTHING)
    if type(properties) is not dict:
        return None
    members, containers = len(value) + len(properties), 1 + ("properties" in value)
    private = properties.get("private", True)
    if private is not True and private is not False:
        return None
    listed: Listed = None
    if "participants" in properties:
        raw = properties["participants"]
        listed = _listed(raw)
        if listed is None:
            return None
        members += sum(map(len, raw))
        containers += 1 + len(raw)
    said = (properties.get("channel", "online"), private, properties.get("territory", "FR"), listed, kind, identifier)
    return (said, members, containers)


def _context(value: Any) -> Part | None:  # noqa: ANN401 - any JSON value
    """A context that asks for nothing: one that wants a decision token is the documented route's."""
    if type(value) is not dict or value.get("decision_token", False) is not False:
        return None
    return ((), len(value), 1)


def _listed(value: Any) -> Listed:  # noqa: ANN401 - any JSON value
    if type(value) is not list or len(value) > MAX_DEPTH:
        return None
    listed: list[tuple[str, bool]] = []
    for each in value:
        if type(each) is not dict:
            return None
        identifier, local = each.get("id"), each.get("local")
        if not _is_id(identifier) or (local is not True and local is not False):
            return None
        listed.append((identifier, local))
    return listed


READERS: Final[dict[str, Callable[[Any], Part | None]]] = {
    "subject": _subject,
    "action": _action,
    "resource": _resource,
    "context": _context,
}


def is_name(text: Any) -> TypeGuard[str]:  # noqa: ANN401 - any JSON value
    """Whether it is a name: of a type, or of a processing."""
    return type(text) is str and 0 < len(text) <= _LONGEST_NAME and text.isprintable()


def _is_id(text: Any) -> TypeGuard[str]:  # noqa: ANN401 - any JSON value
    return type(text) is str and 0 < len(text) <= _LONGEST_ID and text.isprintable()


def is_territory(text: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether it looks like a territory's code (ISO 3166-1, two letters)."""
    return type(text) is str and len(text) == 2 and text.isascii() and text.isalpha() and text.isupper()  # noqa: PLR2004
