"""The fold of a person's consent events: what they amount to for one processing at one instant.

The latest decision counts, by time of collection, ties by ledger order; a closure wipes all before it. Half of a joint
consent decides nothing: it does not displace a whole one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from app.core.age import ages_stated
from app.core.consent import DECISIONS, ConsentEvent, EventKind
from app.core.grant import Grant, grant_of, halves_among
from app.core.processing import Processing


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands on one processing at an instant, before any question of time or scope.

    `latest` is the decision that counts, if any; `consent` is the latest grant or refusal that counts, which a
    withdrawal may have ended; `grant` is `latest` where that is a grant. `ever_decided` is true also while no decision
    counts yet. A closure wipes all of it: the next holder of the address never decided.
    """

    latest: ConsentEvent | None
    consent: ConsentEvent | None
    ever_decided: bool
    grant: Grant | None


def history(events: Iterable[ConsentEvent], processing: Processing, at: datetime) -> list[ConsentEvent]:
    """What concerns that processing and was collected by that instant, oldest first."""
    concerned = (event for event in events if event.collected_at <= at and event.concerns(processing.id))
    return sorted(concerned, key=lambda event: event.rank)


def since_closure(past: Sequence[ConsentEvent]) -> Sequence[ConsentEvent]:
    """The part of a history after its last closure: the next holder of the address starts with nothing."""
    closures = (index for index, event in enumerate(past) if event.kind is EventKind.CLOSED)
    return past[max(closures, default=-1) + 1 :]


def halves_said(events: Iterable[ConsentEvent], processing: str, at: datetime) -> frozenset[int]:
    """The ledger orders of a person's halves of joint consents to a processing, in each account that they had.

    A closure forgets ages, so the halves before one are told by what was known when the account was closed.
    """
    known = sorted((event for event in events if event.collected_at <= at), key=lambda event: event.rank)
    found: set[int] = set()
    account: list[ConsentEvent] = []
    for index, event in enumerate(known):
        if not event.concerns(processing):
            continue
        if event.kind is EventKind.CLOSED:
            found |= halves_among(account, ages_stated(known[:index], event.collected_at))
            account = []
        else:
            account.append(event)
    return frozenset(found | halves_among(account, ages_stated(known, at)))


def counts(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Whether a decision counts yet: a grant only once its version is in force, everything else at once."""
    if event.kind is not EventKind.GRANTED:
        return event.kind in DECISIONS
    version = processing.version(event.version or 0)
    return version is not None and version.in_force_at(at)


def fold(events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> Standing:
    """Fold all of a person's events, those about other processings too, into where they stand on one."""
    past = history(events, processing, at)
    live = since_closure(past)
    ages = ages_stated(events, at)
    halves = halves_among(live, ages)
    counting = [event for event in live if counts(event, processing, at)]
    latest = _latest(counting, halves, processing, at)
    granted = latest is not None and latest.kind is EventKind.GRANTED
    ended = next((event for event in reversed(counting) if event.kind is not EventKind.WITHDRAWN), None)
    return Standing(
        latest=latest,
        consent=latest if granted else ended,
        ever_decided=any(event.kind in DECISIONS for event in live),
        grant=grant_of(latest, live, ages) if latest is not None and granted else None,
    )


def _latest(
    counting: Sequence[ConsentEvent], halves: frozenset[int], processing: Processing, at: datetime
) -> ConsentEvent | None:
    """The decision that counts: the last one, but a grant to an older version does not displace one still good.

    Among the grants since the last refusal, withdrawal or closure, the latest that is not superseded counts, else the
    latest: renewing the present version does not displace the consent already given to the next one. What a child or a
    parent says alone counts only where there is nothing else: then it is not valid (rule 14).
    """
    grants = list(takewhile(lambda event: event.kind is EventKind.GRANTED, reversed(counting)))
    wholes = [event for event in grants if event.order not in halves]
    standing = wholes or grants or counting[-1:]
    good = (event for event in standing if not processing.superseded(event.version or 0, at))
    return next(good, standing[0] if standing else None)
