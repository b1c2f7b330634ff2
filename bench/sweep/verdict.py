"""What a race left behind, judged by the tables alone: flags, ledger, outbox and projection against one another."""

from dataclasses import dataclass, fields
from typing import Any, Final

import psycopg

_QUESTIONS: Final = {
    "flags": "SELECT count(*) FROM renewal_flag",
    "unsaid": """SELECT count(*) FROM consent c WHERE ended_by IS NULL AND id = ANY (SELECT id FROM raced)
        AND NOT EXISTS (SELECT FROM renewal_flag f WHERE f.subject_ref = c.subject_ref AND f.consent = c.id)""",
    "twice": "SELECT count(*) FROM (SELECT FROM renewal_flag GROUP BY consent HAVING count(*) > 1) AS double",
    # By when the end was recorded: a renewal says when it was collected, which may be before a flag made meanwhile.
    "wrong": """SELECT count(*) FROM renewal_flag f JOIN consent c ON c.subject_ref = f.subject_ref AND c.id = f.consent
        JOIN consent_event e ON e.subject_ref = c.subject_ref AND e.collected_at = c.ended_at AND e.id <> c.id
        WHERE e.recorded_at <= f.flagged_at""",
    "without_event": """SELECT count(*) FROM renewal_flag f WHERE kind = 'expired' AND NOT EXISTS
        (SELECT FROM consent_event e WHERE e.subject_ref = f.subject_ref AND e.id = f.id AND e.kind = 'expired')""",
    "events_without_flag": """SELECT count(*) FROM consent_event e WHERE kind IN ('expired', 'superseded')
        AND NOT EXISTS (SELECT FROM renewal_flag f WHERE f.subject_ref = e.subject_ref AND f.id = e.id)""",
    "without_message": """SELECT count(*) FROM renewal_flag f WHERE NOT EXISTS
        (SELECT FROM outbox o WHERE o.subject_ref = f.subject_ref AND o.id = f.id)""",
    "messages_without_flag": """SELECT count(*) FROM outbox o WHERE type ~ '(renewal_due|expired|superseded)$'
        AND NOT EXISTS (SELECT FROM renewal_flag f WHERE f.subject_ref = o.subject_ref AND f.id = o.id)""",
    "ended_after_flag": """SELECT count(*) FROM renewal_flag f
        JOIN consent c ON c.subject_ref = f.subject_ref AND c.id = f.consent WHERE c.ended_at > f.flagged_at""",
    "ended_without_flag": """SELECT count(*) FROM consent c WHERE ended_by IS NOT NULL
        AND NOT EXISTS (SELECT FROM renewal_flag f WHERE f.subject_ref = c.subject_ref AND f.consent = c.id)""",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many of each. Only the three that are not faults may be above zero: `flags`, and the two that show races.

    `unsaid`: due, live and not flagged; `twice`: flagged more than once; `wrong`: flagged when it had ended already.
    `ended_after_flag` and `ended_without_flag`: users who decided anew after the flag, and before it.
    """

    flags: int
    unsaid: int
    twice: int
    wrong: int
    without_event: int
    events_without_flag: int
    without_message: int
    messages_without_flag: int
    ended_after_flag: int
    ended_without_flag: int

    @property
    def faults(self) -> dict[str, int]:
        """What must not be, by name; empty when all is well."""
        fine = {"flags", "ended_after_flag", "ended_without_flag"}
        found = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in fine}
        return {name: number for name, number in found.items() if number}


def judge(url: str) -> Verdict:
    """Ask the database, as its owner; `raced` holds the consents that were due when the race began."""
    with psycopg.connect(url) as connection:
        return Verdict(**{name: _number(connection, query) for name, query in _QUESTIONS.items()})


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    return sum(row[0] for row in connection.execute(query))
