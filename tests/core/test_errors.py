import pytest

from app.core import errors
from app.core.errors import DomainError, InvalidPeriodError

EVERY = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, DomainError)]


@pytest.mark.parametrize("error", EVERY, ids=lambda each: each.__name__)
def test_the_docstring_of_an_error_is_its_message(error):
    """Raised with nothing said, an error says its docstring on one line, and names no field."""
    raised = error()
    assert raised.detail == " ".join(error.__doc__.split())
    assert str(raised) == raised.detail
    assert raised.field is None


def test_slugs_are_unique():
    """Each error has a slug of its own, which becomes the type of the problem document."""
    slugs = [each.slug for each in EVERY]
    assert len(set(slugs)) == len(slugs)


def test_an_error_keeps_what_it_is_told():
    """A message and the field at fault are kept."""
    raised = InvalidPeriodError("Too long.", field="consent_validity")
    assert (raised.detail, raised.field) == ("Too long.", "consent_validity")
