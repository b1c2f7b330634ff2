"""Tries a mutant: against the golden cases in this process, against the tests of its module in another.

The second is `python -m tests.mutation.trial MODULE NODE VARIANT TEST...`; its exit code is pytest's.
"""

import ast
import contextlib
import importlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

from tests.mutation.mutants import CORE, ROOT, dotted, mutants_of, mutated_tree

GOLDEN = tuple(ROOT / "tests" / "conformance" / name for name in ("decisions.yaml", "edges.yaml"))


class MutantImporter(MetaPathFinder, Loader):
    """Hands out one module from a changed tree."""

    def __init__(self, module: str, tree: ast.Module) -> None:
        """Keep the change to make."""
        self.name, self.tree = dotted(module), tree

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """Answer for the changed module only."""
        return spec_from_loader(fullname, self) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self.tree, f"<mutant of {self.name}>", "exec"), module.__dict__)


@contextlib.contextmanager
def fresh_core(module: str, tree: ast.Module) -> Iterator[None]:
    """Import the core anew with one changed module; afterwards everything is as before."""
    importer = MutantImporter(module, tree)
    ours = ("app.core", "app.conformance")
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(ours)}
    package = vars(importlib.import_module("app"))
    attributes: dict[str, object] = {name: package[name] for name in ("core", "conformance") if name in package}
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)
        for name in [name for name in sys.modules if name.startswith(ours)]:
            del sys.modules[name]
        sys.modules.update(kept)
        package.update(attributes)


def golden_failures(module: str, tree: ast.Module) -> int:
    """How many golden cases the changed core fails; one that cannot even be read counts all."""
    with fresh_core(module, tree):
        try:
            vars(importlib.import_module("app.conformance.document"))["_compose"] = _composed
            reader = importlib.import_module("app.conformance.reader")
            run = importlib.import_module("app.conformance.run").run
            return sum(len(run(reader.read_file(path))) for path in GOLDEN)
        except Exception:  # noqa: BLE001 - whatever a wrong core raises, it is found out
            return sys.maxsize


@cache
def _composed(_path: object, text: str) -> object:
    import yaml

    return yaml.compose(text, Loader=yaml.SafeLoader)


def pytest_runtest_logstart(nodeid: str) -> None:
    """As a plugin of pytest under `coverage run`: record by which test each line is run, its fixtures included."""
    from coverage import Coverage

    traced = Coverage.current()
    if traced is not None:
        traced.switch_context(nodeid)


def main(module: str, node: str, variant: str, *tests: str) -> int:
    """Run tests against one mutant of a module, until one fails."""
    import pytest

    from tests.support.properties import load_profile

    load_profile()
    mutant = next(each for each in mutants_of(module) if (each.node, each.variant) == (int(node), int(variant)))
    tree = mutated_tree(mutant)
    for name in [name for name in sys.modules if name.startswith("app.")]:
        del sys.modules[name]
    sys.meta_path.insert(0, MutantImporter(module, tree))
    # The suite's own plugin imports hypothesis before pytest could rewrite it, which matters to no test here.
    rewriting = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    quiet = [*rewriting, "-x", "-q", "-n0", "-p", "no:cacheprovider", "--no-header", "--tb=no"]
    if module in CORE:
        quiet.append(f"--confcutdir={ROOT / 'tests' / 'core'}")
    return int(pytest.main([*quiet, *tests]))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
