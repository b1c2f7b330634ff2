"""What comes over the wire: JSON, read strictly, and the types that bodies of every room use."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Self

import jiter
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictStr
from pydantic_core import PydanticCustomError

from app.api.http.paging import LIMIT, MOST
from app.operations.service.deployment import SubjectName

# Read JSON the way I-JSON (RFC 7493) wants it: unique member names, no lone surrogates, finite numbers, not too deep.
#
# A reader that keeps the last of two members of one name, silently, would see another question than the next reader
# does.

_ESCAPED_NUL: Final = rb"\u0000"
_PLACE: Final = re.compile(r"at line (\d+) column (\d+)$")


class BadJsonError(Exception):
    """The body is not JSON that this service reads; the message says why, and never quotes it."""


def is_json(content_type: bytes) -> bool:
    """Whether a Content-Type is JSON, whatever parameters follow."""
    return content_type == b"application/json" or content_type.split(b";")[0].strip().lower() == b"application/json"


def parse(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON document (UTF-8), nested at most 201 levels deep.

    Raises:
        BadJsonError: it is not JSON, or not I-JSON, or a string in it holds a NUL character.

    """
    try:
        # Without a cache of strings: who sends this is not known yet, and nothing of it is kept for the next request.
        value = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none")
    except ValueError as error:
        raise BadJsonError(_reason(str(error))) from None
    # JSON holds no NUL as it is, and PostgreSQL stores none: only an escape can bring one in, and few bodies have it.
    if _ESCAPED_NUL in body and _holds_nul(value):
        raise BadJsonError("A string holds a NUL character.")
    return value


def _holds_nul(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if type(value) is str:
        return "\0" in value
    if type(value) is dict:
        return any("\0" in name or _holds_nul(member) for name, member in value.items())
    return type(value) is list and any(map(_holds_nul, value))


def _reason(message: str) -> str:
    """The reason that jiter gives, without what it quotes from the body."""
    if message.startswith("Detected duplicate key"):
        return "An object has two members of one name."
    if message.startswith("recursion limit"):
        return "The body is nested too deep."
    place = _PLACE.search(message)
    where = f": line {place[1]}, column {place[2]}" if place is not None else ""
    return f"The body is not JSON in UTF-8{where}."


NOTICE_EXAMPLE: Final = {
    "fr": "Avec votre accord, le contenu et l'objet de vos messages sont analysés pour choisir des publicités.",
    "en": "If you agree, the content and subject line of your messages are analysed to choose advertisements.",
}
"""The text of the proposed processing, to which the proposed consent says yes."""


def _no_control(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("control characters are not allowed")
    return text


Identifier = Annotated[StrictStr, Field(min_length=1, max_length=512), AfterValidator(_no_control)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(_no_control)]


_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def written(pattern: re.Pattern[str], else_: str) -> BeforeValidator:
    """A check that a value is text of this form, before pydantic takes a number for seconds or milliseconds."""

    def check(value: object) -> object:
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise ValueError(else_)
        return value

    return BeforeValidator(check)


def _plausible(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"must lie between {_EARLIEST.year} and {_LATEST.year}")
    return at.astimezone(UTC)  # RFC 3339 has offsets that PostgreSQL refuses, and answers are in UTC


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Instant = Annotated[
    AwareDatetime,
    written(_RFC_3339, "must be a time with its offset, such as 2026-06-15T12:00:00Z (RFC 3339)"),
    AfterValidator(_plausible),
    Field(description="RFC 3339, with its offset"),
]
_CIVIL_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
CivilDate = Annotated[date, written(_CIVIL_DATE, "must be a date such as 2026-01-15")]
Territory = Annotated[StrictStr, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code")]


AT_FAULT: Final = "at_fault"
"""Pydantic's type of an error of a body as a whole whose context names the `field` that it is the fault of."""


def at_fault(field: str, how: str) -> PydanticCustomError:
    """An error that a body as a whole has, told under the field that it is the fault of."""
    return PydanticCustomError(AT_FAULT, "{how}", {"how": how, "field": field})


def examples(*bodies: Mapping[str, Any]) -> ConfigDict:
    """The `model_config` of a model that the reference shows with these bodies."""
    return ConfigDict(json_schema_extra={"examples": [dict(each) for each in bodies]})


class WireModel(BaseModel):
    """A body of the administrative API: unknown members are refused, so that a misspelt one is seen."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RecordView(BaseModel):
    """An answer that a record of the application holds already: its members are attributes of that record."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, record: object) -> Self:
        """The wire form of a record."""
        return cls.model_validate(record)


ProcessingId = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", examples=["ads-mail"])]


class SubjectBody(WireModel):
    """The user concerned; `type` is a namespace of ids."""

    type: Name = Field(examples=["user"])
    id: Identifier = Field(examples=["alice@example.fr"])

    def name(self) -> SubjectName:
        """The subject as an operation names it."""
        return SubjectName(self.type, self.id)


class PageRequest(WireModel):
    """Which part of a list is wanted."""

    limit: int = Field(default=LIMIT, ge=1, le=MOST, strict=True)
    cursor: str | None = Field(default=None, max_length=128, description="`next_cursor` of the page before")
