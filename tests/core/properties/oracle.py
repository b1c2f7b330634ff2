"""An oracle of the table of rules, written from the law page alone: slow, flat, and sharing no code with app.core.

It reads the fields of the core's values and nothing else: every row's condition is worked out, then the first that
holds is taken. Dates are counted by hand, on civil dates.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

CIVIL = ZoneInfo("Europe/Paris")
EXEMPT = {"display", "sorting", "routing", "unsolicited_content_detection", "malware_detection"}
ON_CONSENT = {"advertising", "statistics", "service_improvement"}
COVERED = ["FR", "GP", "MQ", "GF", "RE", "YT", "BL", "MF", "PM", "WF"]
DECIDING = ("granted", "refused", "withdrawn")


@dataclass(frozen=True)
class Answer:
    """What the oracle says."""

    permitted: bool
    reason: str
    article: str | None
    valid_until: datetime | None = None


def civil_date(instant):
    """The date on a wall calendar in Paris."""
    return instant.astimezone(CIVIL).date()


def midnight(day):
    """The instant at which a date begins in Paris: neither of its two offsets is ever in doubt at midnight."""
    for hours in (2, 1):
        instant = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=hours)
        if instant.astimezone(CIVIL).replace(tzinfo=None) == datetime(day.year, day.month, day.day):  # noqa: DTZ001
            return instant
    raise AssertionError(day)


def later_date(day, months, days):
    """The date so many months later, or the last of that month, then so many days later."""
    year, month = day.year, day.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    number = day.day
    while True:
        try:
            return date(year, month, number) + timedelta(days=days)
        except ValueError:
            number -= 1


def lapse(collected_at, months, days, counting):
    """When a period that began then is over."""
    day = later_date(civil_date(collected_at), months, days)
    if counting == "start_of_day":
        return midnight(day)
    clock = collected_at.astimezone(CIVIL).replace(tzinfo=None).time()
    wanted = datetime.combine(day, clock)
    guesses = [(wanted - timedelta(hours=hours)).replace(tzinfo=UTC) for hours in (2, 1)]
    real = [guess for guess in guesses if guess.astimezone(CIVIL).replace(tzinfo=None) == wanted]
    return min(real or guesses)


class Facts:
    """All that the rules may ask about one processing at one instant, for any subject."""

    def __init__(self, entry, ledger, at, policy):
        """Keep the facts; work out which version is in force."""
        self.entry, self.ledger, self.at, self.policy = entry, ledger, at, policy
        self.in_force = None
        for each in entry.versions:
            if each.effective_from is None or each.effective_from <= at:
                self.in_force = each

    def begun(self, number):
        """Whether a version of that number is registered and has come into force."""
        return any(
            each.number == number and (each.effective_from is None or each.effective_from <= self.at)
            for each in self.entry.versions
        )

    def status(self):
        """What the last change so far said."""
        said = "active"
        for change in self.entry.status_changes:
            if change.at <= self.at:
                said = change.status
        return said

    def material(self):
        """The versions that are material, by number."""
        found = []
        for index, each in enumerate(self.entry.versions):
            added = index > 0 and bool(each.elements - self.entry.versions[index - 1].elements)
            if each.material or added:
                found.append(each)
        return found

    def told(self, subject):
        """The subject's events about this processing up to now, in order."""
        about = [
            each
            for each in self.ledger.get(subject, ())
            if each.processing in (None, self.entry.id) and not each.collected_at > self.at
        ]
        return sorted(about, key=lambda each: (each.collected_at, each.order))

    def ever_decided(self, subject):
        """Whether the subject ever said yes, no or no more."""
        return any(each.kind in DECIDING for each in self.told(subject))

    def latest(self, subject):
        """The decision that counts and the age that goes with it."""
        decision, age, age_then = None, "adult", "adult"
        for each in self.told(subject):
            if each.kind == "closed":
                decision, age, age_then = None, "adult", "adult"
                continue
            age = each.collection.age_band or age
            if each.kind in ("refused", "withdrawn") or (each.kind == "granted" and self.begun(each.version)):
                decision, age_then = each, age
        return decision, age_then

    def expiry(self, grant):
        """The earliest of what was stored and of the periods that bind this grant."""
        ends = [lapse(grant.collected_at, 12, 0, self.policy.counting)]
        ceiling = self.policy.ceiling
        ends.append(lapse(grant.collected_at, ceiling.months, ceiling.days, self.policy.counting))
        for each in self.entry.versions:
            if each.number == grant.version or each is self.in_force:
                period = each.consent_validity
                ends.append(lapse(grant.collected_at, period.months, period.days, self.policy.counting))
        if grant.expires_at is not None:
            ends.append(grant.expires_at)
        return min(ends)

    def wrong_with(self, subject, touched):
        """What stands in the way of this subject's consent: one of the words of rows 11 to 17, or None."""
        decision, age = self.latest(subject)
        if decision is None:
            return "no_consent"
        if decision.kind != "granted":
            return {"refused": "consent_refused", "withdrawn": "consent_withdrawn"}[decision.kind]
        above = [each.number for each in self.material() if each.number > decision.version]
        declared = next(each.elements for each in self.entry.versions if each.number == decision.version)
        beyond = touched - declared or (decision.elements is not None and touched - decision.elements)
        rows = (
            ("consent_invalid", unlawful(decision.collection, age)),
            ("consent_superseded", any(self.begun(number) for number in above)),
            ("consent_expired", self.at >= self.expiry(decision)),
            ("consent_scope", beyond),
        )
        return next((word for word, holds in rows if holds), None)


def unlawful(how, age):
    """Row 14."""
    return (
        how.default_state == "selected"
        or how.positive_act == "none"
        or not how.separate_from_terms
        or how.conditional
        or not how.text_known
        or how.given_by not in ({"both"} if age == "under_15" else {"self", "both"})
    )


def transition(facts, request):
    """Row 10."""
    today = civil_date(facts.at)
    remade = any(
        each.effective_from is not None
        and civil_date(each.effective_from) >= date(2017, 3, 31)
        and each.effective_from <= facts.at
        for each in facts.material()
    )
    return (
        date(2017, 3, 31) <= today <= date(2017, 9, 30)
        and facts.in_force.started_on < date(2017, 3, 31)
        and not remade
        and request.territory != "WF"
        and not facts.ever_decided(request.subject)
    )


def relied_on(facts, request):
    """The subjects whose consent a permit rests on, and whether the participants stand in its way (row 18)."""
    mode = facts.in_force.party_mode
    if mode == "user_only":
        return [request.subject], False
    if request.participants is None:
        return [request.subject], True
    outsiders = [each for each in request.participants if not each.local and each.ref != request.subject]
    locals_ = [each.ref for each in request.participants if each.local]
    touched = request.elements or facts.in_force.elements
    missing = any(facts.wrong_with(each, touched) for each in locals_ if each != request.subject)
    return [request.subject, *locals_], missing or (mode == "all_parties" and bool(outsiders))


def answer(request, entry, ledger, at, policy):
    """The answer to a request, without what the register has scheduled for later."""
    if at < midnight(date(2016, 10, 9)):
        return Answer(False, "law_version_not_held", None)
    facts = Facts(entry, ledger, at, policy) if entry is not None else None
    if facts is None or facts.in_force is None:
        return Answer(False, "unknown_processing", "L32-3 I-II")
    secrecy = "L32-3 I" if facts.in_force.provider_kind == "operator" else "L32-3 II"
    touched = request.elements or facts.in_force.elements
    texted = request.channel == "text_message" and "content" in touched
    exempt, on_consent = entry.purpose in EXEMPT, entry.purpose in ON_CONSENT
    covered = civil_date(at) >= date(2025, 7, 2) and request.territory != "WF"
    wrong = facts.wrong_with(request.subject, touched)
    subjects, party_missing = relied_on(facts, request)
    rows = (
        (facts.status() != "active", False, "processing_suspended", secrecy),
        (not (request.automated and facts.in_force.automated), False, "human_access", secrecy),
        (not request.private or request.territory not in COVERED, False, "not_applicable", None),
        (bool(touched - facts.in_force.elements), False, "undeclared_element", secrecy),
        (exempt and texted and not covered, False, "channel_not_covered", "L32-3 III"),
        (exempt, True, "exempt", "L32-3 III"),
        (not on_consent, False, "purpose_not_permitted", secrecy),
        (texted, False, "channel_not_covered", "L32-3 IV"),
        (transition(facts, request), True, "transition_2017", "L32-3 NOTA"),
        (wrong is not None, False, wrong, "L32-3 IV"),
        (party_missing, False, "other_party", "L32-3 IV"),
        (True, True, "consent_in_force", "L32-3 IV"),
    )
    permitted, reason, article = next(row[1:] for row in rows if row[0])
    until = None
    if reason == "transition_2017":
        until = midnight(date(2017, 10, 1))
    elif reason == "consent_in_force":
        until = min(facts.expiry(facts.latest(each)[0]) for each in subjects)
    return Answer(permitted, reason, article, until)


def full_answer(request, entry, ledger, at, policy):
    """The answer, with `valid_until` no later than what the register has scheduled allows."""
    now = answer(request, entry, ledger, at, policy)
    if now.reason != "consent_in_force":
        return now
    known = {subject: [each for each in events if each.collected_at <= at] for subject, events in ledger.items()}
    material = [each.effective_from for each in Facts(entry, known, at, policy).material()]
    ends = {change.at for change in entry.status_changes if change.status != "active"} | set(material)
    moments = {change.at for change in entry.status_changes} | {each.effective_from for each in entry.versions}
    until = now.valid_until
    for moment in sorted(each for each in moments if each is not None and each > at):
        if moment < until:
            then = answer(request, entry, known, moment, policy)
            refused = moment in ends or not then.permitted
            until = moment if refused else min(until, then.valid_until)
    return Answer(now.permitted, now.reason, now.article, until)
