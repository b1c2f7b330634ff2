"""What a decision was made on, besides what was asked and answered: enough to make it again (docs/proof.md)."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class DecisionBasis:
    """The columns of a log row that no answer tells.

    `version`: of the processing, in force then. `versions` and `changes`: how many of its versions were known, and how
    many of its changes of status and invalidations, in the order of their instants. `known`: the ledger order of the
    last event of the subject that was known, 0 where none was.
    `participants`: how many other parties the question named; None where it did not say, or nothing asked for them. No
    digest of them: it would lead from an id to the row, whatever else is sealed.
    `relied`: who was looked at besides the subject, sealed (`DecidedBy`).
    `policy`: how periods were counted (`P1Y/start_of_day`). `rules`: a digest of the rules; `build`: the version of
    Sceau.
    """

    automated: bool
    private: bool
    version: int | None
    versions: int
    changes: int
    party_mode: str | None
    known: int
    participants: int | None
    relied: bytes | None
    policy: str
    rules: str
    build: str


@cache
def rules_digest() -> str:
    """Sixteen hexadecimal digits of the SHA-256 of every module of the rules (`app.core`), by name."""
    hashed = hashlib.sha256()
    for name, module in sorted(_modules(files("app.core"), "")):
        hashed.update(name.encode() + b"\0" + hashlib.sha256(module.read_bytes()).digest())
    return hashed.hexdigest()[:_DIGITS]


def _modules(place: Traversable, within: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for each in place.iterdir():
        if each.is_dir():
            found += _modules(each, f"{within}{each.name}/")
        elif each.name.endswith(".py"):
            found.append((within + each.name, each))
    return found
