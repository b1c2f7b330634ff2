"""An oracle of the table of rules, written from the law page alone: slow, flat, and sharing no code with app.core.

It reads the fields of the core's values and nothing else: every row's condition is worked out, then the first that
holds is taken. What time does to a consent is counted by hand, in `tests.core.properties.years`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.core.properties.years import civil_date, lapse, longer, midnight

EXEMPT = {"display", "sorting", "routing", "unsolicited_content_detection", "malware_detection"}
ON_CONSENT = {"advertising", "statistics", "service_improvement"}
COVERED = ["FR", "GP", "MQ", "GF", "RE", "YT", "BL", "MF", "PM", "WF"]
MODES = ["user_only", "all_local_users", "all_parties"]
DECIDING = ("granted", "refused", "withdrawn")
TWO_ACTS = {"self", "holder_of_parental_responsibility"}
NOT_SHARED: frozenset[bytes] = frozenset()
DECREE = date(2017, 3, 31)


@dataclass(frozen=True)
class Answer:
    """What the oracle says."""

    permitted: bool
    reason: str
    article: str | None
    valid_until: datetime | None = None


class Facts:
    """All that the rules may ask about one processing at one instant, for any subject."""

    def __init__(self, entry, ledger, at, policy, shared=NOT_SHARED):
        """Keep the facts; work out which version is in force. `shared`: the mailboxes that several people share."""
        self.entry, self.ledger, self.at, self.policy, self.shared = entry, ledger, at, policy, shared
        self.in_force: Any = None
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
        """The status that the last change so far gave."""
        status = "active"
        for change in self.entry.status_changes:
            if change.at <= self.at:
                status = change.status
        return status

    def suspensions(self):
        """When the processing is due to stop."""
        return [each.at for each in self.entry.status_changes if each.at > self.at and each.status != "active"]

    def material(self):
        """The versions that are material, by what they say or by what they change."""
        strikes = []
        for index, each in enumerate(self.entry.versions):
            if each.material or (index > 0 and changed(self.entry.versions[index - 1], each)):
                strikes.append(each)
        return strikes

    def superseded(self, number):
        """Whether a material version after that one has come into force."""
        return any(each.number > number and self.begun(each.number) for each in self.material())

    def events_of(self, subject):
        """All that was recorded of a person up to now, on whatever processing, in order."""
        collected = [each for each in self.ledger.get(subject, ()) if not each.collected_at > self.at]
        return sorted(collected, key=lambda each: (each.collected_at, each.order))

    def events_about(self, subject):
        """The part of it that is about this processing."""
        return [each for each in self.events_of(subject) if each.processing in (None, self.entry.id)]

    def ever_decided(self, subject):
        """Whether the account's present holder ever granted, refused or withdrew."""
        kinds = [each.kind for each in self.events_about(subject)]
        since = max((at for at, kind in enumerate(kinds) if kind == "closed"), default=-1)
        return any(kind in DECIDING for kind in kinds[since + 1 :])

    def latest(self, subject):
        """The decision that counts: a refusal, a withdrawal, a grant, or None."""
        ending: Any = None
        grants: list[Any] = []
        for each in self.events_about(subject):
            if each.kind in ("refused", "withdrawn", "closed"):
                ending, grants = (None if each.kind == "closed" else each), []
            elif each.kind == "granted" and self.begun(each.version):
                grants.append(each)
        wholes = [each for each in grants if not self.half(subject, each)]
        grants = wholes or grants
        standing = [each for each in grants if not self.superseded(each.version)]
        return (standing or grants or [ending])[-1]

    def half(self, subject, grant):
        """Whether a child or a parent gave this grant alone, without the other."""
        alone = grant.collection.given_by in TWO_ACTS and len(self.acts(subject, grant)) == 1
        return alone and self.age(subject, grant)[0] == "under_15"

    def age(self, subject, grant):
        """The age that counts for a grant, and whether one was stated by then: what stood, or younger said since.

        What was recorded after the grant was said since. A closure of the account forgets all of it.
        """
        heard: list[Any] = []
        believed: Any = None
        stood, younger, is_past_grant, then = None, "adult", False, civil_date(grant.collected_at)
        for each in self.events_of(subject):
            if each.kind == "closed" and each.processing is None:
                believed, younger, heard = None, "adult", []
                continue
            statement = each.collection
            if statement.age_band and (is_past_grant or each.order > grant.order):
                younger = min(younger, read_on(statement, then), key=YOUNGEST.index)
            elif statement.age_band:
                day = civil_date(each.collected_at)
                if believed is None or takes_over(statement, believed, heard, day):
                    believed = statement
                heard.append(statement)
            is_past_grant = is_past_grant or each is grant
        stood = None if believed is None else read_on(believed, then)
        return (younger if older(stood or "adult", younger) else stood), stood is not None

    def acts(self, subject, grant):
        """The acts that make the consent: the grant, after the other's where a child and a parent acted one by one."""
        steps = [each for each in self.events_about(subject) if each.kind in (*DECIDING, "closed")]
        first = ([None, *steps])[steps.index(grant)]
        if first is None or first.kind != "granted":
            return [grant]
        joint = (
            self.age(subject, grant)[0] == "under_15"
            and {first.collection.given_by, grant.collection.given_by} == TWO_ACTS
            and first.version == grant.version
            and grant.collected_at - first.collected_at <= timedelta(hours=30 * 24)
        )
        return [first, grant] if joint else [grant]

    def unlawful(self, subject, acts):
        """Row 14."""
        age = self.age(subject, acts[-1])[0]
        stated = all(self.age(subject, each)[1] for each in acts)
        versions = [each for each in self.entry.versions if each.number == acts[-1].version or each is self.in_force]
        alone = {"both"} if age == "under_15" else {"self", "both"}
        return (
            any(ill_collected(each.collection) for each in acts)
            or (len(acts) == 1 and acts[0].collection.given_by not in alone)
            or (not stated and any(each.age_statement_required for each in versions))
            or any(each.conditional for each in self.entry.versions if each.number == acts[-1].version)
        )

    def struck(self, acts):
        """Row 14 too: whether what an act said yes to, a version or a text, was invalidated since."""
        struck = [each for each in self.entry.invalidations if not each.at > self.at]
        versions = [each.version for each in struck if each.version is not None]
        texts = [each.text for each in struck if each.text is not None]
        return any(act.version in versions or act.collection.text in texts for act in acts)

    def expiry(self, acts):
        """The earliest of what was stored and of the periods that bind each act."""
        ends = [each.expires_at for each in acts if each.expires_at is not None]
        versions = [each for each in self.entry.versions if each.number == acts[0].version or each is self.in_force]
        periods = [self.policy.ceiling, *(each.consent_validity for each in versions)]
        lengths = [(12, 0), *((each.months, each.days) for each in periods)]
        for act in acts:
            ends += [lapse(act.collected_at, *each, self.policy.counting, act.territory) for each in lengths]
        return min(ends)

    def consent(self, subject):
        """The acts of the consent that the subject's latest decision amounts to, if it is one."""
        decision = self.latest(subject)
        return self.acts(subject, decision) if decision is not None and decision.kind == "granted" else None

    def wrong_with(self, subject, touched):
        """What stands in the way of this subject's consent: one of the words of rows 11 to 17, or None."""
        decision = self.latest(subject)
        if decision is None:
            return "no_consent"
        if decision.kind != "granted":
            return {"refused": "consent_refused", "withdrawn": "consent_withdrawn"}[decision.kind]
        acts = self.acts(subject, decision)
        covered = set(next(each.elements for each in self.entry.versions if each.number == decision.version))
        for act in acts:
            covered &= covered if act.elements is None else act.elements
        rows = (
            ("consent_invalid", self.unlawful(subject, acts) or self.struck(acts)),
            ("consent_superseded", self.superseded(decision.version)),
            ("consent_expired", self.at >= self.expiry(acts)),
            ("consent_scope", not touched <= covered),
        )
        return next((word for word, holds in rows if holds), None)


def changed(before, after):
    """Whether a version is a material change from the one before it, by anything that its users are told."""
    wider = (
        after.elements - before.elements,
        after.recipients - before.recipients,
        after.transfers - before.transfers,
        after.controllers - before.controllers,
        longer(before.retention and before.retention.text, after.retention and after.retention.text),
        longer(_text(before.derived_data_erased_within), _text(after.derived_data_erased_within)),
        longer(str(before.consent_validity), str(after.consent_validity)),
        MODES.index(after.party_mode) < MODES.index(before.party_mode),
        after.automated and not before.automated,
    )
    return any(wider) or any(getattr(before, fact) != getattr(after, fact) for fact in TOLD)


TOLD = (
    *("service", "provider_kind", "storage_location", "automated_decisions", "conditional"),
    "categories_of_persons",
)
"""Facts that users are told and of which no change is a narrowing."""


def _text(retention):
    return retention and retention.text


YOUNGEST = ["under_15", "minor_15_plus", "adult"]


def older(band, other):
    """Whether one band is older than another."""
    return YOUNGEST.index(band) > YOUNGEST.index(other)


def takes_over(statement, believed, heard, day):
    """Whether a statement takes the place of the one believed, as both read on the day on which it is made.

    A day of turning 15 says something new against no such day, or another one; that there is none, only if who says so
    weighs more than who named the day. The heavier of two who say the same is the one believed.
    """
    new, old = read_on(statement, day), read_on(believed, day)
    enough = statement.age_weight >= max(each.age_weight for each in heard if read_on(each, day) == old)
    if new != old:
        return enough or older(old, new)
    if new != "under_15" or statement.under_15_until == believed.under_15_until:
        return new == "under_15" and enough
    if statement.under_15_until is None:
        return statement.age_weight > believed.age_weight
    return enough or (believed.under_15_until is not None and statement.under_15_until > believed.under_15_until)


def read_on(how, day):
    """What a statement of age says of a civil date; None where it states none."""
    turned = how.age_band == "under_15" and how.under_15_until is not None and day >= how.under_15_until
    return "minor_15_plus" if turned else how.age_band


def ill_collected(how):
    """What is wrong with an act by itself, no matter who gave it."""
    return (
        how.default_state == "selected"
        or how.positive_act == "none"
        or not how.separate_from_terms
        or how.conditional
        or not how.text_known
    )


def transition(facts, request):
    """Row 10, but for the other parties."""
    remade = any(
        each.effective_from is not None
        and civil_date(each.effective_from) >= DECREE
        and each.effective_from <= facts.at
        for each in facts.material()
    )
    return (
        DECREE <= civil_date(facts.at) <= date(2017, 9, 30)
        and facts.entry.versions[0].started_on < DECREE
        and not remade
        and request.territory != "WF"
        and not facts.ever_decided(request.subject)
    )


def shared_among(facts, request):
    """Whether the mailbox asked about, or one whose consent is asked for, is shared by several people (row 9b)."""
    asks = facts.in_force.party_mode != "user_only"
    parties = [each.ref for each in request.participants or () if each.local and asks]
    return bool({request.subject, *parties} & facts.shared)


def other_parties(facts, request, touched, undecided_too):
    """The other parties whose consent a permit rests on, or None when they stand in its way (row 18)."""
    mode = facts.in_force.party_mode
    if mode == "user_only":
        return []
    others = [each for each in request.participants or () if each.ref != request.subject]
    if request.participants is None or (mode == "all_parties" and not all(each.local for each in others)):
        return None
    parties = [each.ref for each in others if each.local]
    if undecided_too:
        parties = [each for each in parties if facts.ever_decided(each)]
    return None if any(facts.wrong_with(each, touched) for each in parties) else parties


def governed(facts, request, touched):
    """The row that holds where the article applies, and the subjects whose consent it rests on."""
    secrecy = "L32-3 I" if facts.in_force.provider_kind == "operator" else "L32-3 II"
    purpose = facts.entry.purpose
    texted = request.channel == "text_message" and bool(touched & {"content", "attachments"})
    shown = purpose in ("display", "routing")
    covered = shown or (civil_date(facts.at) >= date(2025, 7, 2) and request.territory != "WF")
    nota = transition(facts, request)
    wrong = facts.wrong_with(request.subject, touched)
    parties = other_parties(facts, request, touched, undecided_too=nota)
    rows = (
        (facts.status() != "active", False, "processing_suspended", secrecy),
        (not (request.automated and facts.in_force.automated), False, "human_access", secrecy),
        (bool(touched - facts.in_force.elements), False, "undeclared_element", secrecy),
        (purpose in EXEMPT and texted and not covered, False, "channel_not_covered", "L32-3 III"),
        (purpose in EXEMPT, True, "exempt", "L32-3 III"),
        (purpose not in ON_CONSENT, False, "purpose_not_permitted", secrecy),
        (texted, False, "channel_not_covered", "L32-3 IV"),
        (shared_among(facts, request), False, "other_party", "L32-3 IV"),
        (nota and parties is not None, True, "transition_2017", "L32-3 NOTA"),
        (wrong is not None and not nota, False, wrong, "L32-3 IV"),
        (parties is None, False, "other_party", "L32-3 IV"),
        (True, True, "consent_in_force", "L32-3 IV"),
    )
    row = next(row[1:] for row in rows if row[0])
    return row, [*([] if nota else [request.subject]), *(parties or ())]


def answer(request, entry, ledger, at, policy, *, shared):
    """The answer to a request, without what the register has scheduled for later under IV and the NOTA."""
    if at < midnight(date(2016, 10, 9)):
        return Answer(False, "law_version_not_held", None)
    facts: Any = Facts(entry, ledger, at, policy, shared) if entry is not None else None
    is_known = facts is not None and facts.in_force is not None
    touched = (request.elements or facts.in_force.elements) if is_known else frozenset()
    if not request.private or request.territory not in COVERED:
        runs = is_known and facts.status() == "active" and request.automated and facts.in_force.automated
        goes_on = runs and entry.purpose in EXEMPT and touched <= facts.in_force.elements
        until = min(facts.suspensions(), default=None) if goes_on else None
        return Answer(goes_on, "not_governed" if goes_on else "not_applicable", None, until)
    if not is_known:
        return Answer(False, "unknown_processing", "L32-3 I-II")
    row, subjects = governed(facts, request, touched)
    ends = []
    if row[1] == "exempt":
        ends = facts.suspensions()
    elif row[0]:
        ends = [facts.expiry(facts.consent(each)) for each in subjects]
        ends += [midnight(date(2017, 10, 1))] if row[1] == "transition_2017" else []
    permitted, reason, article = row
    return Answer(permitted, reason, article, min(ends, default=None))


def full_answer(request, entry, ledger, at, policy, *, shared=NOT_SHARED):
    """The answer, with `valid_until` no later than what the register has scheduled allows."""
    now = answer(request, entry, ledger, at, policy, shared=shared)
    if now.reason not in ("consent_in_force", "transition_2017"):
        return now
    collected = {subject: [each for each in events if each.collected_at <= at] for subject, events in ledger.items()}
    facts = Facts(entry, collected, at, policy, shared)
    ends = {*facts.suspensions(), *(each.effective_from for each in facts.material())}
    moments = {change.at for change in entry.status_changes} | {each.effective_from for each in entry.versions}
    moments |= {each.at for each in entry.invalidations}
    until = now.valid_until
    for moment in sorted(each for each in moments if each is not None and each > at):
        if moment < until:
            then = answer(request, entry, collected, moment, policy, shared=shared)
            refused = moment in ends or not then.permitted
            until = moment if refused else min(until, then.valid_until)
    return Answer(now.permitted, now.reason, now.article, until)
