"""The result of a check, in one line."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import typer

from app.cli.output import echo_json


class Grade(StrEnum):
    """How a check ended. What is `wrong` makes the command exit with 1."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line: what was checked, its condition, and what to do about it. It holds no secret and no person's id."""

    check: str
    grade: Grade
    said: str
    remedy: str | None = None


def ok(check: str, said: str) -> CheckResult:
    """The result of a check that found nothing wrong."""
    return CheckResult(check, Grade.OK, said)


def warning(check: str, said: str, remedy: str) -> CheckResult:
    """The result of a check that found something to mend, although the service works."""
    return CheckResult(check, Grade.WARNING, said, remedy)


def wrong(check: str, said: str, remedy: str) -> CheckResult:
    """The result of a check that found that something does not work, or that answers would be wrong."""
    return CheckResult(check, Grade.WRONG, said, remedy)


def tell(results: Iterable[CheckResult], *, as_json: bool) -> None:
    """Print the results, and exit with 1 if something is wrong.

    Raises:
        Exit: something is wrong.

    """
    listed = list(results)
    if as_json:
        echo_json(listed)
    else:
        for result in listed:
            remedy = f" → {result.remedy}" if result.remedy is not None else ""
            typer.echo(f"{result.grade.value:7}  {result.check:16}  {result.said}{remedy}")
    if any(result.grade is Grade.WRONG for result in listed):
        raise typer.Exit(1)
