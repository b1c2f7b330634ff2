"""The migration to random subject_refs, with a hundred thousand subjects."""

import pytest

from tests.database import test_locators as migration

SUBJECTS = 100_000


@pytest.fixture(scope="module")
def carried():
    """A hundred thousand of them."""
    with migration.carried_over(SUBJECTS) as rows_of_each:
        yield SUBJECTS, *rows_of_each


test_every_account_has_a_random_subject_ref = migration.test_every_account_has_a_random_subject_ref_of_its_own
test_who_was_erased_is_found_by_nothing = migration.test_who_was_erased_is_found_by_nothing
test_what_belongs_together_stays_together = migration.test_what_belongs_together_stays_together
test_going_back_restores_every_row = migration.test_going_back_restores_every_row_of_whoever_was_not_erased
