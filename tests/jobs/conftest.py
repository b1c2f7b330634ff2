import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def nothing_left():
    """What Procrastinate's tasks leave behind in the tests of a file ends with them.

    A task that failed while a worker was stopped complains when it is collected. Python 3.11.7 cannot bear that while
    it makes a syntax tree, as tests that read source do ("AST constructor recursion depth mismatch").
    """
    yield
    gc.collect()
