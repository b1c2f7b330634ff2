"""What of the decisions is logged: every one but the exempt permits, and of those a share."""

from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_bytes
from typing import Final
from uuid import UUID

from app.audit.decision_log import DecisionLog
from app.audit.rows import row
from app.core.article import Article
from app.core.decision import Decision, Reason

_WITHOUT_CONSENT = frozenset({Reason.EXEMPT, Reason.NOT_GOVERNED})
_REF_BYTES = 32
DAY_SECONDS: Final = 86_400
Opaque = Callable[[str, str], bytes]
"""A keyed hash (32 bytes) of a value, apart for each purpose."""
_RESTS_ON_LAW = frozenset({Article.IV, Article.NOTA})


def correspondence_ref(opaque: Opaque, ref: bytes, day: int, kind: str, identifier: str) -> bytes:
    """The reference (32 bytes) under which a correspondence stands in one person's rows of one day, and in no others.

    Two people who were asked about for one message cannot be found by it, nor can anybody without a name to begin with.

    Args:
        opaque: makes keyed hashes.
        ref: what the row has in the place of the person.
        day: of the decision (UTC), in days since 1970.
        kind: the correspondence's type.
        identifier: its id.

    """
    return opaque("correspondence", f"{ref.hex()}\n{day}\n{kind}\n{identifier}")


@dataclass(slots=True)
class Recorder:
    """Chooses what to log. `exempt_share` is the share (0 to 1) of permits under III that are logged.

    `durable`: a permit under IV may be answered only when its row is committed. `opaque` makes keyed hashes
    (`Pseudonyms.opaque`).

    Somebody of whom nothing is recorded, and everybody under III, whom nothing is looked up about, is logged under
    random bytes: nothing links these rows to a person, or to one another.
    """

    log: DecisionLog
    opaque: Opaque
    durable: bool
    exempt_share: float
    _owed: float = 0.0

    def wants(self, decision: Decision) -> bool:
        """Whether this decision is logged: evenly spaced ones of the exempt permits, all others."""
        if decision.reason not in _WITHOUT_CONSENT:
            return True
        self._owed += self.exempt_share
        if self._owed < 1:
            return False
        self._owed -= 1
        return True

    def must_wait(self, decision: Decision) -> bool:
        """Whether this decision may be answered only once it is logged."""
        return self.durable and decision.permitted and decision.article in _RESTS_ON_LAW

    def record(  # noqa: PLR0917 - the parts of one entry
        self,
        at: float,
        identifier: bytes,
        caller: UUID,
        subject_ref: bytes | None,
        correspondence: tuple[str, str],
        decision: Decision,
        log_facts: bytes,
    ) -> bytes | None:
        """Log one decision; or return its row, if that must be committed (`log.commit`) before it is answered.

        `at` is when it was taken, an epoch time by the database's clock; `identifier` is its id as text; `log_facts`
        is what `app.audit.rows.facts_of` made of the question and the decision.
        """
        if not self.wants(decision):
            return None
        number = bytes.fromhex(identifier.replace(b"-", b"").decode())
        ref = token_bytes(_REF_BYTES) if subject_ref is None else subject_ref
        about = correspondence_ref(self.opaque, ref, int(at // DAY_SECONDS), *correspondence)
        logged = row(number, at, caller, ref, about, log_facts)
        if self.must_wait(decision):
            return logged
        self.log.append(logged)
        return None
