"""Record what a person pressed on the consent page: once for each form that was shown, with its evidence."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from app.core.consent import AgeBand, EventKind, GivenBy
from app.core.consent_link import Act, AnsweringAs, LinkKind
from app.core.errors import (
    ConsentLinkEndedError,
    FormNotOursError,
    FormOutdatedError,
    JointConsentNeededError,
    NotFoundError,
    QualityNotStatedError,
    TextChangedError,
    TooManyFormsError,
)
from app.db.session import WriteSession
from app.ledger.identifiers import load_name
from app.ledger.link_store import ConsentLink, claim_form, count_forms, find_link
from app.operations.consents.ledgers import open_ledgers
from app.operations.consents.open_consent_link import OpenedLink, ShownProcessing, open_consent_link, shown_digest
from app.operations.consents.recorder import Collected, PresentedPage, Said, Withdrawal, record
from app.operations.consents.sweep_renewals import decline_renewal
from app.operations.service.deployment import Deployment, SubjectName
from app.telemetry.metrics import build

FORMS_AN_HOUR: Final = 60
_HOUR: Final = timedelta(hours=1)
_NONCE_BYTES: Final = 16


class Press(StrEnum):
    """What a button of the page says; there is none that accepts everything at once."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    DECLINE = "decline"
    WITHDRAW = "withdraw"
    REFUSE_ALL = "refuse_all"
    WITHDRAW_ALL = "withdraw_all"


@dataclass(frozen=True, slots=True)
class Pressed:
    """The button that was pressed, and the capacity in which a parent or guardian says that they answer, if they do."""

    press: Press
    answering_as: AnsweringAs | None = None

    @property
    def act(self) -> Act:
        """What the button does to each processing that it is about."""
        return _ALL.get(self.press) or Act(self.press.value)


PageAsShown = Callable[[OpenedLink, ShownProcessing, str], str]
"""Makes what the page shows about one processing in a language (HTML), without anything of the person."""

_NARROWS: Final = frozenset({Act.WITHDRAW, Act.DECLINE})
_ALL: Final = {Press.REFUSE_ALL: Act.REFUSE, Press.WITHDRAW_ALL: Act.WITHDRAW}


@dataclass(frozen=True, slots=True)
class ConsentForm:
    """A form as it was shown: about one processing, or about all that have a button (`processing` is "").

    `nonce` is 16 random bytes; `shown` identifies the texts that stood on the page (`shown_digest`).
    """

    token_sha256: bytes
    nonce: bytes
    processing: str
    language: str
    shown: str

    def seal(self, deployment: Deployment) -> str:
        """Return the proof that this service made the form (hex): a keyed hash over all of it."""
        content = f"{self.token_sha256.hex()} {self.nonce.hex()} {self.processing} {self.language} {self.shown}"
        return deployment.pseudonyms.opaque("consent-form", content).hex()


async def answer_consent_form(  # noqa: PLR0917 - a form, what it is worth, and how its page looked
    session: WriteSession,
    deployment: Deployment,
    form: ConsentForm,
    seal: str,
    pressed: Pressed,
    page: PageAsShown,
) -> bool:
    """Record what a button says, with the text and the page that were shown. On an error nothing is recorded.

    Returns:
        Whether it was recorded now. False: the form was sent before. Commit in that case too: the first attempt may
            have ended before it was confirmed, and this one is confirmed in its place.

    Raises:
        NotFoundError: there is no such link.
        ConsentLinkEndedError: it has ended.
        FormNotOursError: the form is not one that this service made for this link.
        FormOutdatedError: the button is no longer there.
        TextChangedError: the text is no longer the one that the form showed (withdrawing still works).
        JointConsentNeededError: the person is under fifteen.
        QualityNotStatedError: a parent or guardian consents without saying which of the two they are.
        TooManyFormsError: too many forms came through this link within an hour (withdrawing still works).

    """
    link = await find_link(session, form.token_sha256)
    if link is None:
        raise NotFoundError
    subject = await _subject(session, deployment, link)
    # This lock comes first, as in every other write about this subject: what is read from here on does not change.
    ledgers = await open_ledgers(session, deployment, [subject], link.processings)
    if ledgers.of(subject).ref != link.subject_ref:
        raise ConsentLinkEndedError
    opened = await open_consent_link(session, deployment, form.token_sha256)
    if len(form.nonce) != _NONCE_BYTES or not hmac.compare_digest(form.seal(deployment), seal):
        raise FormNotOursError
    press, act = pressed.press, pressed.act
    pressed_before = await claim_form(session, form.token_sha256, form.nonce, press.value, opened.now)
    may_withdraw = act is Act.WITHDRAW and any(form.processing in {"", item.id} for item in opened.offering(act))
    if press.value in pressed_before and not may_withdraw:
        await session.repeat()
        return False
    if act is Act.ACCEPT and pressed_before:  # this form has said no before, and a no is not undone by going back
        raise FormOutdatedError
    # A withdrawal is always recorded: a holder of the link cannot use up what the person needs to withdraw.
    sent = await count_forms(session, form.token_sha256, since=opened.now - _HOUR)
    if act is not Act.WITHDRAW and sent > FORMS_AN_HOUR:
        raise TooManyFormsError
    items = _meant(opened, form, pressed)
    _check_quality(link, pressed)
    for item in items:
        if act is Act.DECLINE:
            evidence = {"method": "web_form", "link": str(link.id)}
            await decline_renewal(session, deployment, opened.caller, subject, item.id, evidence=evidence)
        else:
            await record(opened.caller, _decision(opened, form, item, pressed, page), ledgers)
    return True


def _meant(opened: OpenedLink, form: ConsentForm, pressed: Pressed) -> Sequence[ShownProcessing]:
    """Return the processings that a button is about, if it is still there and shows what it showed."""
    of_all, act = pressed.press in _ALL, pressed.act
    if of_all is not (form.processing == ""):
        raise FormNotOursError
    if opened.under_15 and act is not Act.WITHDRAW:
        raise JointConsentNeededError
    items = opened.offering(act) if of_all else [item for item in opened.items if item.id == form.processing]
    if not items or any(act not in item.acts for item in items):
        raise FormOutdatedError
    if act not in _NARROWS and shown_digest(items, form.language) != form.shown:
        raise TextChangedError
    return items


def _check_quality(link: ConsentLink, pressed: Pressed) -> None:
    """Refuse a capacity on any page but the parent's, and a parent's consent without one."""
    by_parent = link.given_by is GivenBy.PARENT
    if pressed.answering_as is not None and not by_parent:
        raise FormNotOursError
    if by_parent and pressed.press is Press.ACCEPT and pressed.answering_as is None:
        raise QualityNotStatedError


async def _subject(session: WriteSession, deployment: Deployment, link: ConsentLink) -> SubjectName:
    """Return the name that the link was made for, with its id from the vault."""
    name = await load_name(session, link.subject_ref, link.name)
    if name is None:
        raise ConsentLinkEndedError
    return SubjectName(name.type, deployment.vault.open(name.sealed))


def _decision(
    opened: OpenedLink, form: ConsentForm, item: ShownProcessing, pressed: Pressed, page: PageAsShown
) -> Said:
    """Return what one press says about one processing of a person, with how its page looked."""
    link, language = opened.link, form.language
    if pressed.act is Act.WITHDRAW:
        return Withdrawal(opened.name, item.id, method="web_form", link=link.id)
    capacity = {"given_by": (link.given_by or GivenBy.SELF).value}
    if link.kind is LinkKind.JOINT:
        capacity["age_band"] = AgeBand.UNDER_15.value
    elif opened.age_band is not None:
        capacity["age_band"] = opened.age_band.value
    if link.parent_ref is not None and link.parent_checked_how is not None:
        capacity |= {"parent_ref": link.parent_ref.hex(), "parent_checked_how": link.parent_checked_how}
    return Collected(
        subject=opened.name,
        processing=item.id,
        kind=EventKind.GRANTED if pressed.act is Act.ACCEPT else EventKind.REFUSED,
        evidence={
            "method": "web_form",
            "positive_act": "button_clicked",
            "default_state": "unselected",
            "separate_from_terms": True,
            "conditional": bool(item.facts.told["conditional"]),
            "language": language,
            "notice_version": item.version,
            "authentication": link.authentication.value,
            "link": str(link.id),
            "build": " ".join(build()),
            **({"answering_as": pressed.answering_as.value} if pressed.answering_as is not None else {}),
        },
        capacity=capacity,
        version=item.version,
        territory=link.territory,
        presented=PresentedPage(item.text(language).plain, page(opened, item, language)),
    )
