from tests.mutation.mutants import MODULES, explained_survivors, mutants_of


def test_every_survivor_that_is_explained_still_exists():
    """The page explains mutants of the core of today, each by the name that the run prints."""
    names = {each.name for module in MODULES for each in mutants_of(module)}
    explained = explained_survivors()
    assert explained
    assert explained <= names
