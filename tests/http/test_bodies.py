from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

import app.main  # noqa: F401 - every body that a route or a form takes is defined by it
from app.api.http.wire import WireModel

_VALUES = ("true", "1", "0", "", 0, 1, 1.0, 1.5, True, False, ["1"], [1], [True], {"fr": 1}, {"fr": True})


def models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The models that are defined below one."""
    for each in of.__subclasses__():
        yield each
        yield from models(each)


def taken_for_another(member: FieldInfo) -> list[Any]:
    """The JSON values that a member takes, and keeps as another value."""
    taken = []
    kind: Any = Annotated[member.annotation, "a member", *member.metadata]
    reader = TypeAdapter(kind)
    for value in _VALUES:
        try:
            kept = to_jsonable_python(reader.validate_python(value), exclude_none=True)
        except ValidationError:
            continue
        if repr(kept) != repr(value):
            taken.append((value, kept))
    return taken


BODIES = list(models(WireModel))


@pytest.mark.parametrize("body", BODIES)
def test_no_member_takes_a_value_for_another(body):
    """A member of a body takes no value of another JSON type: no text or number for a boolean or a day, for example."""
    assert {name: taken for name, each in body.model_fields.items() if (taken := taken_for_another(each))} == {}


class Lax(BaseModel):
    """Members as pydantic reads them by itself."""

    shared: bool
    since: date
    how_many: int


@pytest.mark.parametrize("name", Lax.model_fields)
def test_a_member_that_takes_more_is_seen(name):
    """The comparison finds each of the three, as pydantic reads them by itself."""
    assert taken_for_another(Lax.model_fields[name])
