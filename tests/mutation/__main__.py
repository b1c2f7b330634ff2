"""Tries the mutants of modules: `python -m tests.mutation [MODULE...]`; without names, those of the core.

A module of the core is tried by the golden cases first, then by tests of the core; what stands between an operation and
the ledger (`recorder`, `statements`, `ledgers`) by tests on a database. Only the tests that run the changed statement
are tried. What survives must stand in survivors.md, here, with its reason; else the exit code is 1.
"""

import os
import re
import subprocess
import sys
import tempfile
from ast import parse
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path

from coverage import CoverageData

from tests.mutation.mutants import (
    CORE,
    LEDGER,
    ROOT,
    Mutant,
    dotted,
    explained_survivors,
    mutants_of,
    mutated_tree,
    source_of,
    statement_lines,
)
from tests.mutation.trial import golden_failures
from tests.support.clusters import oldest_server
from tests.support.databases import ADDRESS

SECONDS = 900
PASSED = 0
FOUND_OUT = (1, 2)
"""pytest's exit codes for a test that failed and for one that could not even be imported."""
NOT_IMPORTED = b"Error while loading plugin"
"""What pytest says where the suite's own plugin cannot import a mutant."""
FAILED = re.compile(rb"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
"""A test that failed, in pytest's summary."""
_FIRST = 12
"""How many of the tests that killed a mutant last are tried first: tests of many files in turn are slow."""
ROOMS = dict.fromkeys(CORE, ("core",)) | dict.fromkeys(LEDGER, ("consents", "register", "pages", "webhooks"))
"""The folders of the tests of a module."""


class Outcome(StrEnum):
    """What was found out about a mutant; one whose tests did not end in time counts as a survivor."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    TIMED_OUT = "TIMED OUT"


def main(modules: list[str]) -> int:
    """Try the mutants of these modules, print the survivors, then the figures of each module."""
    explained = explained_survivors()
    unexplained = 0
    total: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(prefix="sceau-mutants-") as place,
        oldest_server(Path(place) / "postgres") as server,
    ):
        os.environ[ADDRESS] = server.url(role="postgres", database="postgres")
        for module in modules or CORE:
            figures, unknown = _try_module(module, explained, Path(place))
            unexplained += unknown
            total += figures
            print(f"{module}: {_said(figures)}", flush=True)
    print(f"all: {_said(total)}")
    return 1 if unexplained else 0


def _try_module(module: str, explained: set[str], place: Path) -> tuple[Counter[str], int]:
    """Return the figures of a module, and how many of its survivors survivors.md does not explain."""
    by_cases = module in CORE
    if by_cases and golden_failures(module, parse(source_of(module).read_text())):
        raise RuntimeError(f"{module}: a golden case fails without a mutant: nothing it finds out means anything")
    tests_of = _tests_that_run(module, place / module)
    mutants = mutants_of(module)
    left = [each for each in mutants if not by_cases or golden_failures(module, mutated_tree(each)) == 0]
    survivors = unexplained = 0
    killers: dict[str, None] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each, outcome in zip(left, pool.map(lambda one: _try(one, tests_of(one), killers), left), strict=True):
            # Printed at once, so that a run that is ended early has shown something.
            if outcome is not Outcome.KILLED:
                is_explained = each.name in explained
                survivors, unexplained = survivors + 1, unexplained + (not is_explained)
                print(f"{'known' if is_explained else outcome.value} line {each.line}: {each.name}", flush=True)
    figures = Counter(mutants=len(mutants), golden=len(mutants) - len(left), tests=len(left) - survivors)
    figures["survivors"] = survivors
    return figures, unexplained


def _said(figures: Counter[str]) -> str:
    return "{mutants} mutants, {golden} killed by golden cases, {tests} by tests, {survivors} survived".format_map(
        figures
    )


def _tests_that_run(module: str, report: Path) -> Callable[[Mutant], list[str]]:
    """Return a function from a mutant to the tests that run its statement, or to all folders where an import runs it.

    A line whose result is remembered, by a cache or a fixture, is run by the first test that needs it: a survivor there
    may be one that another test would kill.

    Raises:
        RuntimeError: a test fails without a mutant, or none was seen to run the module.
    """
    folders = [f"tests/{folder}" for folder in ROOMS[module]]
    package = dotted(module).rpartition(".")[0]
    # SQLAlchemy awaits within greenlets: a trace that does not know of them loses what runs after an `await`.
    traced = ["coverage", "run", "--concurrency=thread,greenlet"]
    traced += [f"--source={package}", f"--data-file={report}", "-m", "pytest"]
    plain = ["-q", "-n0", "-p", "no:cacheprovider", "-p", "no:pytest_cov", "-p", "tests.mutation.trial"]
    done = _run_python([*traced, *plain, *folders], seconds=None)
    if done.returncode != 0:
        raise RuntimeError(f"{module}: a test fails without a mutant: {done.stdout.decode()[-2000:]}")
    data = CoverageData(str(report))
    data.read()
    contexts = data.contexts_by_lineno(str(source_of(module)))
    if not any(any(tests) for tests in contexts.values()):
        raise RuntimeError(f"{module}: no test was seen to run it, so that every mutant would survive")

    def tests_of(mutant: Mutant) -> list[str]:
        statement = statement_lines(mutant)
        if statement is None:
            return folders
        tests = {context for line in statement for context in contexts.get(line, ())}
        # File by file: tests of several files in turn would start an application for each.
        return sorted(tests - {""}, key=lambda test: (ROOMS[module].index(test.split("/")[1]), test))

    return tests_of


def _try(mutant: Mutant, tests: list[str], killers: dict[str, None]) -> Outcome:
    """Run these tests against a mutant, first those that have killed others; one that no test runs survives."""
    if not tests:
        return Outcome.SURVIVED
    are_folders = "::" not in tests[0]
    first = [test for test in list(killers)[::-1] if are_folders or test in tests][:_FIRST]
    place = [mutant.module, str(mutant.node), str(mutant.variant)]
    trial = ["tests.mutation.trial", *place, *dict.fromkeys(first + tests)]
    try:
        done = _run_python(trial, seconds=SECONDS)
    except subprocess.TimeoutExpired:
        return Outcome.TIMED_OUT
    if NOT_IMPORTED in done.stdout + done.stderr:
        return Outcome.KILLED
    # A run that ended before its tests, over a warning perhaps, has found nothing out.
    ran = done.returncode == PASSED or b" failed" in done.stdout or b" error" in done.stdout
    if not ran or done.returncode not in {PASSED, *FOUND_OUT}:
        raise RuntimeError(f"pytest could not try {mutant}: {done.stdout.decode()}{done.stderr.decode()}")
    if done.returncode not in FOUND_OUT:
        return Outcome.SURVIVED
    for test in FAILED.findall(done.stdout):
        killers.pop(test.decode(), None)
        killers[test.decode()] = None  # the latest stands last
    return Outcome.KILLED


def _run_python(arguments: list[str], *, seconds: float | None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", *arguments]
    variables = {**os.environ, "SCEAU_TEST_EXAMPLES": "60", "CI": "1"}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, timeout=seconds, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
