"""Fields of the console's forms: shown with their words, read into a body of the API, refused in words at the field.

A form is checked by the model of the API's route, so that it accepts what the route accepts. A field's name is the path
of the member in that body (`notice.fr`); an empty field is left out of the body.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from app.words import Catalogue, Language, Texts

LABELS: Final = Catalogue("console_field")
HELP: Final = Catalogue("console_help")
UNFIT: Final = Catalogue("console_unfit")
"""What is wrong with a field, by the type of pydantic's error; `other` for the rest."""
_CHECKED: Final = "on"
_DIGITS: Final = 9
_WHOLE: Final = ""
"""The name for the form as a whole, in place of a field's."""


class Kind(StrEnum):
    """How a field is shown, and which value of a body it makes."""

    TEXT = "text"
    AREA = "area"
    DATE = "date"
    NUMBER = "number"
    CHECK = "check"
    """A box: true or false."""
    CHOICE = "choice"
    """One of several; none is left out."""
    BOOLEAN = "boolean"
    """Yes, no, or not said."""
    BOXES = "boxes"
    """Any of several: a list."""
    LINES = "lines"
    """A list, one a line."""
    HEADING = "heading"
    """No field: what the fields after it are about."""
    ROWS = "rows"
    """A list of objects, one a line, its members parted by semicolons."""


@dataclass(frozen=True, slots=True)
class FormField:
    """One field.

    `choices`: its values, and the label of each, as one text or in each language. `word`: the name of its label and
    help, if not the field's own. `members`: of a row of `ROWS`.
    """

    name: str
    kind: Kind = Kind.TEXT
    choices: Mapping[str, str | Texts] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    word: str = ""
    most: int = 10_000
    required: bool = False

    def value(self, sent: Mapping[str, str]) -> Any:  # noqa: ANN401 - of a body
        """The value that the field makes; None leaves it out of the body."""
        if self.kind is Kind.BOXES:
            return [value for value in self.choices if sent.get(f"{self.name}.{value}") == _CHECKED] or None
        if self.kind is Kind.CHECK:
            return sent.get(self.name) == _CHECKED
        text = sent.get(self.name, "").replace("\r\n", "\n").strip()
        return self._read(text) if text else None

    def _read(self, text: str) -> Any:  # noqa: ANN401 - of a body
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        match self.kind:
            case Kind.NUMBER:
                return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else text
            case Kind.BOOLEAN:
                return text == "yes"
            case Kind.LINES:
                return lines
            case Kind.ROWS:
                rows = [zip(self.members, line.split(";", len(self.members) - 1), strict=False) for line in lines]
                return [{name: part.strip() for name, part in row if part.strip()} for row in rows]
        return text

    def sent_for(self, value: Any) -> dict[str, str]:  # noqa: ANN401 - of a body
        """The text that a form would send for a value of a body."""
        if value is None:
            return {}
        if self.kind is Kind.BOXES:
            return {f"{self.name}.{each}": _CHECKED for each in value}
        if self.kind is Kind.CHECK:
            return {self.name: _CHECKED} if value else {}
        return {self.name: self._written(value)}

    def _written(self, value: Any) -> str:  # noqa: ANN401 - of a body
        match self.kind:
            case Kind.BOOLEAN:
                return "yes" if value else "no"
            case Kind.LINES:
                return "\n".join(value)
            case Kind.ROWS:
                return "\n".join(" ; ".join(_trimmed(each, self.members)) for each in value)
        return str(value)


needed = partial(FormField, required=True)
"""A field that must be filled in."""


def _trimmed(row: Mapping[str, str], members: Sequence[str]) -> list[str]:
    """The members of a row up to the last one that is not empty."""
    parts = [row.get(name, "") for name in members]
    while parts and not parts[-1]:
        parts.pop()
    return parts


def body_of(fields: Sequence[FormField], sent: Mapping[str, str]) -> dict[str, Any]:
    """The body that the API's route would take."""
    body: dict[str, Any] = {}
    for form_field in fields:
        value = form_field.value(sent)
        if value is None:
            continue
        place, *path = form_field.name.split(".")[::-1]
        inner = body
        for name in reversed(path):
            inner = inner.setdefault(name, {})
        inner[place] = value
    return body


def sent_of(fields: Sequence[FormField], body: Mapping[str, Any]) -> dict[str, str]:
    """The fields that a form would send for a body: with them a form is filled in."""
    sent: dict[str, str] = {}
    for form_field in fields:
        value: Any = body
        for name in form_field.name.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        sent |= form_field.sent_for(value)
    return sent


class UnfitError(Exception):
    """Some fields are wrong; the error names each and says what is wrong."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Keep the errors by field; one that is no field's fault has an empty name."""
        self.errors = errors
        super().__init__()


Body = TypeVar("Body", bound=BaseModel)


def fitted(model: type[Body], fields: Sequence[FormField], body: Mapping[str, Any], language: Language) -> Body:
    """Check a body as the API's route does.

    Raises:
        UnfitError: the route would refuse it; the error names the fields.

    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        messages: dict[str, str] = {}
        words = UNFIT.in_language(language)
        for fault in error.errors(include_url=False, include_input=False):
            named = (*fault["loc"], *((fault["ctx"]["field"],) if fault["type"] == "at_fault" else ()))
            messages.setdefault(_field_at(named, fields), words.get(fault["type"], words["other"]))
        raise UnfitError(messages) from None


def _field_at(loc: Sequence[int | str], fields: Sequence[FormField]) -> str:
    """The field whose member an error is about: the one with the longest path that leads there."""
    path = ".".join(str(part) for part in loc)
    outer = [each.name for each in fields if path == each.name or path.startswith(f"{each.name}.")]
    inner = [each.name for each in fields if each.name.startswith(f"{path}.")]
    return max(outer, key=len, default=next(iter(inner), _WHOLE))


@dataclass(frozen=True, slots=True)
class FilledForm:
    """A form that was sent and is shown again: its contents, and what is wrong with them or what the act would do."""

    act: str
    about: str
    sent: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    status: int = 422
    preview: Mapping[str, Any] | None = None

    @property
    def problem(self) -> str:
        """What is wrong with the form as a whole."""
        return self.errors.get(_WHOLE, "")


def shown_fields(
    prefix: str, fields: Sequence[FormField], sent: Mapping[str, str], errors: Mapping[str, str], language: Language
) -> list[dict[str, Any]]:
    """The fields of a form with their contents, as the template draws them.

    `prefix` distinguishes the ids of two forms on one page. `boxes` are (input, label, whether it is checked).
    """
    labels, helps = LABELS.in_language(language), HELP.in_language(language)
    offered = {
        each.name: [
            (value, label if isinstance(label, str) else label[language]) for value, label in each.choices.items()
        ]
        for each in fields
    }
    return [
        {
            **{name: getattr(form_field, name) for name in ("name", "kind", "most", "required")},
            "choices": offered[form_field.name],
            "id": f"{prefix}-{form_field.name}",
            "label": labels[form_field.word or form_field.name],
            "help": helps.get(form_field.word or form_field.name, ""),
            "value": sent.get(form_field.name, ""),
            "error": errors.get(form_field.name, ""),
            "boxes": [
                (f"{form_field.name}.{value}", label, sent.get(f"{form_field.name}.{value}") == _CHECKED)
                for value, label in offered[form_field.name]
            ],
        }
        for form_field in fields
    ]
