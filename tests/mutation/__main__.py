"""Tries the mutants of modules: `python -m tests.mutation [MODULE...]`; without names, those of the core.

A module of the core is tried by the golden cases first, then by the tests of the core; `recorder` is tried by the tests
of consents, on a database. What survives must stand in survivors.md, here, with its reason; else the exit code is 1.
"""

import ast
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.mutation.mutants import CORE, ROOT, Mutant, explained_survivors, mutants_of, mutated_tree, source_of
from tests.mutation.trial import golden_failures

SECONDS = 300
SURVIVED = 0
FOUND_OUT = (1, 2)
"""pytest's exit codes for a test that failed and for one that could not even be imported."""


def main(modules: list[str]) -> int:
    """Try the mutants of these modules, print the survivors, then the figures of each module."""
    explained = explained_survivors()
    unexplained = 0
    total: Counter[str] = Counter()
    for module in modules or CORE:
        by_cases = module in CORE
        if _fails((module,)) or (by_cases and golden_failures(module, ast.parse(source_of(module).read_text()))):
            raise RuntimeError(f"{module}: something fails without a mutant: nothing it finds out means anything")
        found = mutants_of(module)
        left = [each for each in found if not by_cases or golden_failures(module, mutated_tree(each)) == 0]
        survivors = 0
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for each, killed in zip(left, pool.map(_killed_by_tests, left), strict=True):
                if not killed:  # told as it is found: a run that is ended early has found something out
                    known = each.name in explained
                    survivors, unexplained = survivors + 1, unexplained + (not known)
                    print(f"{'known   ' if known else 'SURVIVED'} line {each.line}: {each.name}", flush=True)
        figures = Counter(mutants=len(found), golden=len(found) - len(left), tests=len(left) - survivors)
        figures["survivors"] = survivors
        total += figures
        print(f"{module}: {_said(figures)}", flush=True)
    print(f"all: {_said(total)}")
    return 1 if unexplained else 0


def _said(figures: Counter[str]) -> str:
    return "{mutants} mutants, {golden} killed by golden cases, {tests} by tests, {survivors} survived".format_map(
        figures
    )


def _killed_by_tests(mutant: Mutant) -> bool:
    return _fails((mutant.module, str(mutant.node), str(mutant.variant)))


def _fails(mutant: tuple[str, ...]) -> bool:
    """Whether the tests of a module fail with a mutant, or with the module as it is (its name alone)."""
    command = [sys.executable, "-m", "tests.mutation.trial", *mutant]
    environment = {**os.environ, "SCEAU_TEST_EXAMPLES": "60", "CI": "1"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False  # listed like a survivor: nothing was found out
    # A run that ended before its tests, over a warning perhaps, has found nothing out.
    ran = done.returncode == SURVIVED or b" failed" in done.stdout or b" error" in done.stdout
    if not ran or done.returncode not in {SURVIVED, *FOUND_OUT}:
        raise RuntimeError(f"pytest could not try {' '.join(mutant)}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.returncode in FOUND_OUT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
