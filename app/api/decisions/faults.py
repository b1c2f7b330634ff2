"""What is wrong with an AuthZEN request, told by its members and without their values."""

import re
import unicodedata
from typing import Final, get_args

import msgspec

from app.api.decisions.wire import Resource, Semantic
from app.api.http.problems import FieldError, MalformedError
from app.core.article import Channel, Element

WRONG: Final = "A member is missing or not as it should be."
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_NAMED: Final = re.compile(r"`(\w+)` (does not .+)")
"""What the types of `app.api.decisions.wire` say themselves."""
_WORDS: Final = {
    "channel": tuple(Channel),
    "elements": tuple(Element),
    "evaluations_semantic": get_args(Semantic),
}


def field_at_fault(error: msgspec.ValidationError) -> FieldError:
    """The member that a type refused, without its value."""
    message, found, path = str(error).rpartition(" - at `$")  # the last: what is before may quote what was sent
    message, path = (message, path) if found else (path, "")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    missing, named = _MISSING.fullmatch(message), _NAMED.fullmatch(message)
    if missing is not None:
        field, message = f"{field}.{missing[1]}", "is missing"
    elif named is not None:
        field, message = f"{field}.{named[1]}", named[2]
    elif message.startswith("Invalid enum value"):  # and then it quotes what was sent
        words = next((words for member, words in _WORDS.items() if f".{member}" in f".{field}"), ())
        message = f"must be one of {', '.join(words)}"
    return FieldError(field=field.lstrip(".") or "body", message=message)


def refuse_faults(kind: str, identifier: str, name: str, resource: Resource) -> None:
    """Refuse control characters in ids and names, and what is no code of a territory.

    Args:
        kind: the subject's type.
        identifier: the subject's id; "" where none is named.
        name: the processing's; "" where none is named.
        resource: the correspondence.

    Raises:
        MalformedError: one of them has, or is.

    """
    said, listed = resource.properties, resource.properties.participants or ()
    # What can be printed has no control character; of what cannot, some is fine (a no-break space, a joiner).
    text = kind + identifier + name + resource.type + resource.id + "".join([each.id for each in listed])
    code = said.territory
    if not (code.isascii() and code.isalpha() and code.isupper()):
        raise _refused("resource.properties.territory", "is not a code of two capital letters (ISO 3166-1)")
    if text.isprintable():
        return
    texts = {
        "subject.type": kind,
        "subject.id": identifier,
        "action.name": name,
        "resource.type": resource.type,
        "resource.id": resource.id,
        **{f"resource.properties.participants.{place}.id": each.id for place, each in enumerate(listed)},
    }
    for field, each in texts.items():
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in each):
            raise _refused(field, "has control characters")


def refused_domain(field: str) -> MalformedError:
    """What an address with a domain that IDNA does not allow is told."""
    return _refused(field, "has a domain that IDNA does not allow (RFC 5890)")


def _refused(field: str, message: str) -> MalformedError:
    return MalformedError(WRONG, [FieldError(field=field, message=message)])
