"""A link by which a person decides or withdraws: what it is for, what it offers, and the page that it opens.

Withdrawing is never harder than giving (GDPR art. 7(3)): wherever a consent holds, a link that shows it offers to
withdraw it, even if the link offers nothing else any more.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from app.core.article import FRANCE
from app.core.consent import ConsentEvent, EventKind, State
from app.core.fold import JOINT_WINDOW, Standing
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import Processing, ProcessingVersion
from app.core.wording import Audience, Mark, Passage, Voice
from app.words import listed

if TYPE_CHECKING:
    from app.core.consent_text import Asked

_SHOWN: Final = 2
_SHOWN_TAIL: Final = 40
_PHONES: Final = frozenset({"phone", "tel", "msisdn", "phone_number"})
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{5,22}", re.ASCII)
_SCHEMES: Final = frozenset({"tel", "sip", "sips", "mailto", "xmpp", "sms"})
_HIDDEN: Final = "••"
_FRANCE: Final = "+33"
_NATIONAL_DIGITS: Final = 9


def account_hint(identifier: str, kind: str = "") -> str:
    """Return a hint such as `al…@example.fr`: at most two characters, never all, of what precedes the domain.

    A telephone number (by the `kind` of its subject) shows how it begins and its last two digits, in pairs: `+33 6 ••
    •• •• 78`, `06 •• •• •• 78`.
    """
    if kind.lower() in _PHONES and _PHONE.fullmatch(identifier) is not None:
        return _phone(identifier)
    scheme, _, rest = identifier.partition(":")
    if scheme.lower() in _SCHEMES:
        return account_hint(rest, "phone" if _PHONE.fullmatch(rest) is not None else kind)
    # A colon stands before a domain only in ids such as @alice:example.fr.
    end = identifier.rfind(":") if identifier.startswith("@") else max(0, identifier.rfind("@"))
    name, tail = (identifier[:end], identifier[end:]) if end > 0 else (identifier, "")
    if len(tail) > _SHOWN_TAIL:
        tail = f"…{tail[-_SHOWN_TAIL:]}"
    return f"{name[: max(0, min(_SHOWN, len(name) - 1))]}…{tail}"


def _phone(number: str) -> str:
    digits = re.sub(r"[^0-9]", "", number)
    plus = number.startswith("+")
    if plus and digits.startswith(_FRANCE[1:]) and len(digits) == len(_FRANCE) - 1 + _NATIONAL_DIGITS:
        head, rest = f"{_FRANCE} {digits[2]}", digits[3:]
    else:
        head, rest = f"{'+' if plus else ''}{digits[:2]}", digits[2:]
    pairs = -(-len(rest) // 2)
    return " ".join([head, *([_HIDDEN] * (pairs - 1)), rest[-2:]])


class LinkKind(StrEnum):
    """What a link was made for; `joint`: one of the two by which a child and a parent each decide.

    `overview`: it shows everything that is held about the person, and withdraws what holds.
    """

    DECIDE = "decide"
    WITHDRAW = "withdraw"
    JOINT = "joint"
    OVERVIEW = "overview"

    @property
    def asks(self) -> bool:
        """Whether a consent can be given by such a link at all."""
        return self in {LinkKind.DECIDE, LinkKind.JOINT}


class Authentication(StrEnum):
    """How the operator knows that the person who opens the link is the subject.

    `mailbox`: the link went to the subject's own mailbox or account and to nowhere else; `signed_in`: the subject was
    signed in to the service when it was shown; `signed_in_strong`: with two factors; `in_person`: handed over to
    a person whose identity was checked.
    """

    MAILBOX = "mailbox"
    SIGNED_IN = "signed_in"
    SIGNED_IN_STRONG = "signed_in_strong"
    IN_PERSON = "in_person"


class Act(StrEnum):
    """What one press of a button says."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DECLINE = "decline"
    WITHDRAW = "withdraw"


class Situation(StrEnum):
    """Where a person stands on a processing, as the page tells it; `awaiting`: the other act of a joint consent."""

    UNDECIDED = "undecided"
    HOLDS = "holds"
    AWAITING = "awaiting"
    LAPSED = "lapsed"
    INVALID = "invalid"
    INVALIDATED = "invalidated"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


def latest_decision(standing: Standing) -> ConsentEvent | None:
    """Return a person's last decision on a processing since the account was last closed, counting yet or not.

    Half of a joint consent is returned while the other half may follow, or where there are only halves.
    """
    decided, halves = standing.account.decisions, standing.account.halves
    waits = any(standing.at - event.collected_at <= JOINT_WINDOW for event in decided[-1:])
    decisions = decided if waits else [event for event in decided if event.order not in halves] or decided
    return decisions[-1] if decisions else None


def renewal_declined(decision: ConsentEvent | None, events: Iterable[ConsentEvent]) -> bool:
    """Return whether the person has said, since the consent, not to renew it; they are then not reminded of it."""
    return (
        decision is not None
        and decision.kind is EventKind.GRANTED
        and any(
            event.kind is EventKind.RENEWAL_DECLINED
            and event.processing == decision.processing
            and event.rank > decision.rank
            for event in events
        )
    )


def situation(decision: ConsentEvent | None, standing: Standing) -> Situation:
    """Return where the last decision leaves a person; a grant to a future version holds, so it can be withdrawn."""
    if decision is None:
        return Situation.UNDECIDED
    if decision.kind is EventKind.GRANTED:
        state = standing.state_of(decision)
        if state in _TOLD:
            return _TOLD[state]
        return Situation.HOLDS if state in _HOLDING else Situation.LAPSED
    return Situation.REFUSED if decision.kind is EventKind.REFUSED else Situation.WITHDRAWN


def offered(
    kind: LinkKind, stands: Situation, *, asks: bool, decided_here: bool, declined: bool = False
) -> frozenset[Act]:
    """Return the buttons that a link shows for a processing.

    Args:
        kind: what the link was made for.
        stands: where the person stands.
        asks: whether it may still ask: the link has not expired, the processing is active, the person may answer.
        decided_here: whether the person decided since the link was made, or gave this side of a joint consent; then
            only a change of mind is offered.
        declined: whether the person said that the consent is not to be renewed; they may still change their mind.

    """
    if stands is Situation.HOLDS:
        if not kind.asks or not asks or decided_here:
            return frozenset({Act.WITHDRAW})
        return frozenset({Act.ACCEPT, Act.WITHDRAW} if declined else {Act.ACCEPT, Act.DECLINE, Act.WITHDRAW})
    if stands is Situation.AWAITING:
        others_turn = kind is LinkKind.JOINT and asks and not decided_here
        return frozenset({Act.ACCEPT, Act.REFUSE} if others_turn else {Act.WITHDRAW})
    if not kind.asks or not asks:
        return frozenset()
    if decided_here and stands in {Situation.REFUSED, Situation.WITHDRAWN}:
        return frozenset({Act.ACCEPT})
    return frozenset({Act.ACCEPT, Act.REFUSE})


def consent_ends(grant: ConsentEvent, standing: Standing) -> datetime:
    """Return when a grant will end by itself, as known at an instant: at its expiry or a planned material version."""
    return _ends(standing.expiry_of(grant), grant.version or 0, standing.processing)


def would_end(
    version: ProcessingVersion, processing: Processing, at: datetime, policy: PeriodPolicy, territory: str = FRANCE
) -> datetime:
    """Return when a grant given at an instant to a version, in a territory, would end by itself."""
    return _ends(policy.expiry(at, version.consent_validity, territory), version.number, processing)


def paused_until(decision: ConsentEvent | None, pause: ConsentPeriod) -> datetime | None:
    """Return until when a refusal or withdrawal keeps a processing from being offered; None for any other decision.

    It is counted on the Paris calendar to the same local time.
    """
    if decision is None or decision.kind is EventKind.GRANTED:
        return None
    return PeriodPolicy(Counting.SAME_INSTANT).expiry(decision.collected_at, pause)


_TOLD = {
    State.INVALID: Situation.INVALID,
    State.INVALIDATED: Situation.INVALIDATED,
    State.AWAITING_OTHER: Situation.AWAITING,
}
_HOLDING = frozenset({State.IN_FORCE, State.PENDING})


def _ends(expires_at: datetime, number: int, processing: Processing) -> datetime:
    planned = (version.effective_from for version in processing.material_versions(after=number))
    return min([expires_at, *(at for at in planned if at is not None)])


# The look of pages, and what stands around a processing's text: title, first lines, and buttons with what they do. The
# same facts are asked with other buttons at a first request, at a renewal, and after an answer. Everything that is read
# is part of the text that is hashed.

# How pages look like the operator's: a name that people know, and one accent colour on which text can be read.

LIGHT, DARK, WHITE = "#ffffff", "#16181c", "#ffffff"
"""The background of pages (`--paper` of the style sheet), light and dark, and the white for text on the accent."""
ENOUGH: Final = 4.5
"""Contrast of text with its background (WCAG 2.2, 1.4.3); the contrast of controls needs less (1.4.11)."""

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST: Final = 60
_STEPS: Final = 20
_LINEAR_BELOW: Final = 0.04045


@dataclass(frozen=True, slots=True)
class Brand:
    """The name by which people know the service; `accent`: the colour of buttons and of the line above a page."""

    name: str
    accent: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `Exemple Messagerie`, or `Exemple Messagerie, #0b5d4e`.

        Raises:
            ValueError: there is no valid name, or white text could not be read on the colour.

        """
        name, comma, last = text.rpartition(",")
        accent = last.strip().lower() if comma and last.strip().startswith("#") else None
        name = (text if accent is None else name).strip()
        if not 0 < len(name) <= _LONGEST or not name.isprintable():
            raise ValueError
        if accent is not None and (_COLOUR.fullmatch(accent) is None or contrast(accent, LIGHT) < ENOUGH):
            raise ValueError
        return cls(name, accent)

    @property
    def style(self) -> str:
        """The additions to the style sheet; empty without an accent colour.

        For dark paper the colour is mixed with white until it contrasts as much there.
        """
        if self.accent is None:
            return ""
        mixed = (_mixed(self.accent, WHITE, step / _STEPS) for step in range(_STEPS + 1))
        dark = next(each for each in mixed if contrast(each, DARK) >= ENOUGH)
        return (
            f"\n:root {{ {_variables(self.accent, WHITE)} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark, DARK)} }} }}\n"
        )


def _variables(colour: str, ink: str) -> str:
    return f"--act: {colour}; --act-ink: {ink}; --accent: {colour};"


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours such as `#1a4a9c` (WCAG 2.2): 1 if equal, 21 for black and white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    shares = (part / 255 for part in _parts(colour))
    linear = [each / 12.92 if each <= _LINEAR_BELOW else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)


_ORDER: Final = (Act.ACCEPT, Act.REFUSE, Act.DECLINE, Act.WITHDRAW)


ASKING: Final = frozenset({"title_decide", "title_renew"})
"""The titles of pages that await an answer."""


class AnsweringAs(StrEnum):
    """In which capacity somebody answers for a child (LIL art. 45)."""

    PARENT = "holder_of_parental_responsibility"
    GUARDIAN = "guardian"


@dataclass(frozen=True, slots=True)
class Choice:
    """What must be chosen before a consent can be given: the question, and the options as (value, label)."""

    asks: str
    options: tuple[tuple[str, str], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The texts that are hashed: the question and the labels of the options."""
        return (self.asks, *(label for _, label in self.options))


def choice_for(face: "Face", voice: Voice) -> Choice | None:
    """Return the capacity that a parent or guardian states with their consent; None for any other reader.

    Refusing or withdrawing needs no choice: saying no is never harder than saying yes.
    """
    if voice.audience is not Audience.PARENT or not face.accepts:
        return None
    return Choice(voice.frame("answering_as"), tuple((each.value, voice.frame(each.value)) for each in AnsweringAs))


@dataclass(frozen=True, slots=True)
class Face:
    """The buttons of a processing, given where the person stands; `declined`: they said not to renew."""

    acts: frozenset[Act]
    situation: Situation = Situation.UNDECIDED
    declined: bool = False

    @property
    def accepts(self) -> bool:
        """Whether a consent can be given by these buttons."""
        return Act.ACCEPT in self.acts

    @property
    def renews(self) -> bool:
        """Whether giving it renews a consent that holds."""
        return self.accepts and self.situation is Situation.HOLDS

    @property
    def open(self) -> bool:
        """Whether an answer is awaited; otherwise the page folds, and offers a change of mind."""
        return self.accepts and bool({Act.REFUSE, Act.DECLINE} & self.acts)

    def buttons(self, voice: Voice) -> tuple[tuple[str, str], ...]:
        """Return the buttons as (act, label), in the order of reading."""
        return tuple((act.value, voice.frame(self._word(act))) for act in _ORDER if act in self.acts)

    def saying_no(self, voice: Voice) -> str | None:
        """Return how to say no with these buttons; None where no consent can be given."""
        if not self.accepts:
            return None
        if Act.REFUSE in self.acts:
            return voice.frame("to_refuse")
        if self.situation is Situation.HOLDS:
            return voice.frame("to_let_end" if Act.DECLINE in self.acts else "to_let_end_declined")
        return voice.frame("to_stay_refused" if self.situation is Situation.REFUSED else "to_stay_withdrawn")

    def _word(self, act: Act) -> str:
        return "renew" if act is Act.ACCEPT and self.renews else act.value


FIRST: Final = Face(frozenset({Act.ACCEPT, Act.REFUSE}))
"""The buttons of a first request."""


def until_lines(face: Face, voice: Voice) -> list[Passage]:
    """Return how long a consent given now would last; empty after a no, so as not to argue with it."""
    if not (face.open or face.renews):
        return []
    return [Passage(voice.frame("if_renewed" if face.renews else "if_accepted"), voice.language, dated=True)]


@dataclass(frozen=True, slots=True)
class Frame:
    """The page's title and its first lines: who asks; what for and until when; and who must not answer alone."""

    title: str
    who: Passage
    what: Passage
    more: tuple[Passage, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The texts that are hashed: title and first lines."""
        return (self.title, self.who.text, self.what.text, *(each.text for each in self.more))

    @classmethod
    def of(cls, shown: Sequence[tuple["Asked", Face]], voice: Voice, title: str) -> "Frame":
        """Return the frame of a page about these processings, each with its buttons, under the named title."""
        asking = any(face.accepts for _, face in shown)
        awaited = asking and title in ASKING
        word, about = _who_is_named(shown, title, awaited=awaited)
        names = tuple(dict.fromkeys(who.name for each in about for who in each.controllers))
        if word == "asks" and names[1:]:
            word = "ask_together"
        who = voice.frame(word, controller=listed(names, voice.language))
        more = [voice.frame("one_by_one")] if awaited and shown[1:] else []
        more += [voice.frame("age")] if asking else []
        return cls(
            voice.frame(title),
            Passage(who, voice.language, tuple(map(Mark, names))),
            _what([each for each, _ in shown], voice, awaited=awaited),
            tuple(Passage(each, voice.language) for each in more),
        )


_NOTHING_SAID: Final = frozenset({Situation.UNDECIDED, Situation.INVALID})


def _who_is_named(shown: Sequence[tuple["Asked", Face]], title: str, *, awaited: bool) -> tuple[str, Sequence["Asked"]]:
    """Return the word of the first line, and the processings whose controllers it names.

    A person who withdraws or has answered is asked nothing: the line then says to whom the consent or answer was given.
    """
    everything = [each for each, _ in shown]
    withdrawable = [each for each, face in shown if Act.WITHDRAW in face.acts]
    if awaited:
        return "asks", everything
    if withdrawable and (title == "title_withdraw" or len(withdrawable) == len(shown)):
        return "given", withdrawable
    answered = any(face.situation not in _NOTHING_SAID for _, face in shown)
    return ("answered" if answered else "asked"), everything


def _what(about: Sequence["Asked"], voice: Voice, *, awaited: bool) -> Passage:
    purposes = listed(list(dict.fromkeys(voice.purpose(each.purpose) for each in about)), voice.language)
    sentence = voice.frame("until" if awaited else "purposes", purposes=f"{purposes[:1].upper()}{purposes[1:]}")
    return Passage(sentence, voice.language, dated=awaited)
