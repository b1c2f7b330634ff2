"""Runs golden cases through the core and compares what each expects with what it got."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from app.conformance.document import UnreadableFileError
from app.conformance.reader import GoldenCase, GoldenFile, read_file, ref_of
from app.core.decision import Decision
from app.core.evaluate import evaluate


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that got another decision than it expected; both mappings hold the keys expected, in the file's order.

    `rule` is the row of the table of rules that decided.
    """

    name: str
    line: int
    expected: Mapping[str, object]
    actual: Mapping[str, object]
    rule: str


def run(file: GoldenFile) -> list[Failure]:
    """Run every case of a file; return the failures, in order."""
    return [failure for case in file.cases if (failure := compare(case, decide(file, case))) is not None]


def decide(file: GoldenFile, case: GoldenCase) -> Decision:
    """The core's decision on a case."""
    processing = file.processings.get(case.request.processing)
    return evaluate(case.request, processing, case.consents, case.at, file.policy, set(map(ref_of, case.shared)))


def compare(case: GoldenCase, decision: Decision) -> Failure | None:
    """The failure of a case that got this decision, or None when it is as expected."""
    expected = case.expect
    actual = {key: getattr(decision, "permitted" if key == "decision" else key) for key in expected}
    if actual == expected:
        return None
    return Failure(case.name, case.line, expected, actual, decision.rule)


PASSED: Final = 0
FAILED: Final = 1
UNREADABLE: Final = 2


def run_files(paths: Sequence[Path], out: TextIO, *, as_json: bool) -> int:
    """Run golden cases and write what failed to `out`, then how many passed and failed.

    Every file is read before any case runs: one that cannot be read is named on stderr, and nothing else is written.

    Returns:
        The exit code: 0 when every case passed, 1 when one failed, 2 when a file is unreadable or none was given.

    """
    try:
        files = [read_file(path) for path in paths]
    except UnreadableFileError as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    if not files:
        sys.stderr.write("no file of golden cases was given\n")
        return UNREADABLE
    failures = [(file.path, failure) for file in files for failure in run(file)]
    failed, total = len(failures), sum(len(file.cases) for file in files)
    if as_json:
        every = [_as_json(path, failure) for path, failure in failures]
        json.dump({"passed": total - failed, "failed": failed, "failures": every}, out, ensure_ascii=False, indent=2)
        out.write("\n")
    else:
        out.writelines(line + "\n" for path, failure in failures for line in _as_text(path, failure))
        out.write(f"{total - failed} passed, {failed} failed\n")
    return FAILED if failed else PASSED


def _as_text(path: Path, failure: Failure) -> Iterator[str]:
    expected, actual = _written(failure.expected), _written(failure.actual)
    width = max(len("expected"), *map(len, expected.values()))
    yield f"FAILED {path}:{failure.line}: {failure.name}"
    yield f"    {'':<12} {'expected':<{width}}  got (rule {failure.rule})"
    for key, value in expected.items():
        mark = "" if actual[key] == value else "  <- differs"
        yield f"    {key:<12} {value:<{width}}  {actual[key]}{mark}"
    yield ""


def _written(values: Mapping[str, object]) -> dict[str, str]:
    return {key: "-" if value is None else str(_plain(value)) for key, value in values.items()}


def _as_json(path: Path, failure: Failure) -> dict[str, object]:
    return {
        "file": str(path),
        "line": failure.line,
        "name": failure.name,
        "expected": {key: _json_value(value) for key, value in failure.expected.items()},
        "got": {key: _json_value(value) for key, value in failure.actual.items()},
        "rule": failure.rule,
    }


def _json_value(value: object) -> object:
    return value if isinstance(value, bool) or value is None else _plain(value)


def _plain(value: object) -> str:
    """A value as the files write it: a decision true or false, an instant in UTC with Z, a word."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value).lower() if isinstance(value, bool) else str(value)
