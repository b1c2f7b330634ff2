"""What a run shows: what was lost, what was permitted wrongly, and how long everybody waited."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.e2e.failover.calls import Decided, Records
from tests.e2e.failover.faults import Promotion
from tests.e2e.failover.worlds import World
from tests.linearizability.consent import NOTHING, Answer, Asked, Facts
from tests.linearizability.search import Call, linearize

Sql = Callable[[str], list[tuple[Any, ...]]]
_BEFORE: Final = 1.0
"""Seconds before a fault from which on gaps count as its own."""
_NEAR: Final = 30.0
"""Seconds before a call without a place in which what may explain it is told."""


@dataclass(slots=True)
class Findings:
    """What was checked, and each thing that is not as it must be, in a line."""

    users: int = 0
    calls: int = 0
    decisions: int = 0
    permits: int = 0
    writes: int = 0
    not_linearizable: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    permitted_on_nothing: list[str] = field(default_factory=list)
    exempt: int = 0
    exempt_refused: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    failovers: list[dict[str, Any]] = field(default_factory=list)

    def wrong(self) -> list[str]:
        """Everything that is not as it must be; empty when all is well."""
        named = {
            "not linearizable": self.not_linearizable,
            "answered and lost": self.lost,
            "permitted on what the primary does not hold": self.permitted_on_nothing,
            "exempt and not permitted": self.exempt_refused,
            "unexpected answer": self.unexpected,
            "restarted": self.restarted,
        }
        return [f"{name}: {each}" for name, lines in named.items() for each in lines]

    def as_json(self) -> dict[str, Any]:
        """As it is written down."""
        return asdict(self)


def judge(records: Records, worlds: Sequence[World], sql: Sql, promotions: Sequence[Promotion] = ()) -> Findings:
    """Check every user's history, and what the surviving primary holds, which `sql` reads."""
    findings = Findings(
        decisions=len(records.decided),
        permits=sum(each.answer is Answer.PERMIT for each in records.decided),
        writes=len(records.entries) + len(records.versions) + len(records.revoked),
        exempt=len(records.exempt),
        unexpected=list(records.unexpected),
        problems=dict(records.problems),
    )
    for world in worlds:
        for user in world.users:
            _check_history(findings, world, user)
    _check_ledger(findings, records, sql)
    for each in records.exempt:
        if each.answer is not Answer.PERMIT:
            outcome = each.problem or each.answer
            line = f"service {each.service}: {outcome} after {each.end - each.start:.2f} s{_place(each, promotions)}"
            findings.exempt_refused.append(line)
    return findings


def _place(each: Decided, promotions: Sequence[Promotion]) -> str:
    """Where in which failover an answer came."""
    for promotion in promotions:
        if promotion.began <= each.end <= promotion.whole:
            return f", {each.end - promotion.promoted:+.2f} s from the promotion of a {promotion.kind}"
    return ""


def _check_history(findings: Findings, world: World, user: str) -> None:
    history = world.history(user)
    findings.users += bool(history)
    findings.calls += len(history)
    verdict = linearize(NOTHING, history)
    if not verdict.linearizable:
        stuck = ", ".join(f"{call.act} at {call.start:.3f}–{call.end or 0:.3f}" for call in verdict.stuck)
        last = [f"{call.act} at {call.start:.3f}" for call in verdict.order if not isinstance(call.act, Asked)][-3:]
        line = f"{world.processing}: {stuck} after {'; '.join(last)}"
        findings.not_linearizable.append(f"{line}; answered as not recorded: {_not_recorded(world, verdict.stuck)}")


def _not_recorded(world: World, stuck: Collection[Call[Facts]]) -> str:
    """The writes shortly before these calls of which it was said that nothing was recorded."""
    ends = max(call.start for call in stuck)
    near = [each for each in world.not_recorded if ends - _NEAR <= each[0] <= ends]
    return "; ".join(f"{what} at {start:.3f}–{end:.3f}" for start, end, what in near) or "none"


def _check_ledger(findings: Findings, records: Records, sql: Sql) -> None:
    entries = {str(row[0]) for row in sql("SELECT id FROM consent_event")}
    versions = set(sql("SELECT processing, number FROM processing_version"))
    revoked = {str(row[0]) for row in sql("SELECT id FROM caller WHERE revoked_at IS NOT NULL")}
    findings.lost += sorted(records.entries - entries)
    findings.lost += [f"{name}, version {number}" for name, number in sorted(records.versions - versions)]
    findings.lost += sorted(records.revoked - revoked)
    findings.permitted_on_nothing = sorted(records.permits - entries)


def measure(promotion: Promotion, records: Records, services: int) -> dict[str, Any]:
    """The times of one failover, in seconds; a list has one for each service."""
    spans = [_exempt_spans(promotion, records, service) for service in range(services)]
    return {
        "kind": promotion.kind,
        "old": promotion.old,
        "new": promotion.new,
        "lagging": promotion.lagging,
        "lagged_bytes": promotion.lagged_bytes,
        "to_promotion": promotion.promoted - promotion.began,
        "to_first_answer": [_first_answer(promotion, records, service) for service in range(services)],
        "to_whole": promotion.whole - promotion.undone,
        "exempt_gap": [gap for gap, _ in spans],
        "exempt_longest": [longest for _, longest in spans],
    }


def _first_answer(promotion: Promotion, records: Records, service: int) -> float | None:
    """From the promotion to the first decision under IV; 0.0 where a lease had not ended yet."""
    after = [each.end for each in records.decided if each.service == service and each.end >= promotion.promoted]
    return min(after) - promotion.promoted if after else None


def _exempt_spans(promotion: Promotion, records: Records, service: int) -> tuple[float, float]:
    """The longest time without an answer under III, and the longest that one question waited."""
    answered = sorted((each for each in records.exempt if _within(each, promotion, service)), key=lambda each: each.end)
    gaps = [after.end - before.end for before, after in pairwise(answered)]
    return max(gaps, default=0.0), max((each.end - each.start for each in answered), default=0.0)


def _within(each: Decided, promotion: Promotion, service: int) -> bool:
    wanted = each.service == service and each.answer is Answer.PERMIT
    return wanted and promotion.began - _BEFORE <= each.end <= promotion.whole
