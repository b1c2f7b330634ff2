import pytest

from app.core import errors
from app.core.errors import DomainError, InvalidPeriodError

EVERY = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, DomainError)]


@pytest.mark.parametrize("error", EVERY, ids=lambda each: each.__name__)
def test_the_docstring_of_an_error_is_its_message(error):
    """An error raised without a message has its docstring, on one line, as its message, and names no field."""
    raised = error()
    assert raised.detail == " ".join(error.__doc__.split())
    assert str(raised) == raised.detail
    assert raised.field is None


def test_slugs_are_unique():
    """No two errors have the same slug, which becomes the type of the problem document."""
    slugs = [each.slug for each in EVERY if "slug" in vars(each)]  # the others are kinds of errors
    assert len(set(slugs)) == len(slugs)


def test_an_error_keeps_what_it_is_told():
    """An error keeps the message and the field that it is raised with."""
    raised = InvalidPeriodError("Too long.", field="consent_validity")
    assert (raised.detail, raised.field) == ("Too long.", "consent_validity")
