"""Runs golden cases through the core and compares what each expects with what it got."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.conformance.cases import GoldenCase, GoldenFile, ref_of
from app.core.decision import Decision
from app.core.evaluate import evaluate

_GOT: Final = {
    "decision": lambda decision: decision.permitted,
    "reason": lambda decision: decision.reason,
    "article": lambda decision: decision.article,
    "valid_until": lambda decision: decision.valid_until,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that got another decision than it expected; both mappings hold the keys expected, in the file's order.

    `rule` is the row of the table of rules that decided.
    """

    name: str
    line: int
    expected: Mapping[str, object]
    got: Mapping[str, object]
    rule: str


def run(file: GoldenFile) -> list[Failure]:
    """Run every case of a file; the cases that fail, in order."""
    return [failure for case in file.cases if (failure := compare(case, decide(file, case))) is not None]


def decide(file: GoldenFile, case: GoldenCase) -> Decision:
    """What the core answers to a case."""
    asked = case.request
    processing = file.processings.get(asked.request.processing)
    return evaluate(asked.request, processing, case.consents, asked.at, file.policy, set(map(ref_of, case.shared)))


def compare(case: GoldenCase, decision: Decision) -> Failure | None:
    """The failure of a case that got this decision, or None when it is as expected."""
    expected = case.expect.values
    got = {key: _GOT[key](decision) for key in expected}
    if got == expected:
        return None
    return Failure(case.name, case.line, expected, got, decision.rule)
