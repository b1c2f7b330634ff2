"""Record what a person pressed on the consent page: once for each form that was shown, with its evidence."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from app.core.consent import AgeBand, EventKind, GivenBy
from app.core.errors import (
    ConsentLinkEndedError,
    FormNotOursError,
    FormOutdatedError,
    JointConsentNeededError,
    NotFoundError,
    TextChangedError,
    TooManyFormsError,
)
from app.core.page.link import Act, LinkKind
from app.db.session import WriteSession
from app.ledger.link_store import ConsentLink, claim_form, count_forms, find_link
from app.ledger.vault_store import load_name
from app.operations.consents.decline_renewal import DeclinedRenewal, decline_renewal
from app.operations.consents.open_consent_link import OpenedLink, open_consent_link
from app.operations.consents.open_ledgers import open_ledger
from app.operations.consents.record_consent import Collected, record_consent
from app.operations.consents.shown_processing import ShownProcessing, shown_digest
from app.operations.consents.withdraw_consent import Withdrawal, withdraw_consent
from app.operations.service.deployment import Deployment, SubjectName

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


PageAsShown = Callable[[OpenedLink, ShownProcessing, str], str]
"""Makes what the page shows about one processing in a language (HTML), without anything of the person."""

_NARROWS: Final = frozenset({Act.WITHDRAW, Act.DECLINE})
_ALL: Final = {Press.REFUSE_ALL: Act.REFUSE, Press.WITHDRAW_ALL: Act.WITHDRAW}


@dataclass(frozen=True, slots=True)
class ConsentForm:
    """A form as it was shown: about one processing, or about all that have a button ("" for those).

    `nonce` is 16 random bytes; `shown` identifies the texts that stood on the page (`shown_digest`).
    """

    token_sha256: bytes
    nonce: bytes
    processing: str
    language: str
    shown: str

    def seal(self, deployment: Deployment) -> str:
        """What shows that this service made the form (hex): a keyed hash over all of it."""
        said = f"{self.token_sha256.hex()} {self.nonce.hex()} {self.processing} {self.language} {self.shown}"
        return deployment.pseudonyms.opaque("consent-form", said).hex()


async def answer_consent_form(  # noqa: PLR0917 - a form, what it is worth, and how its page looked
    session: WriteSession,
    deployment: Deployment,
    form: ConsentForm,
    seal: str,
    press: Press,
    page: PageAsShown,
) -> bool:
    """Record what a button says, with the text and the page that were shown. Raised: nothing is recorded.

    Returns:
        Whether it was recorded now. False: the form was sent before. Commit nevertheless: the first time may have ended
        before it was confirmed, and this one is confirmed in its place.

    Raises:
        NotFoundError: there is no such link.
        ConsentLinkEndedError: it has ended.
        FormNotOursError: the form is not one that this service made for this link.
        FormOutdatedError: the button is no longer there.
        TextChangedError: the text is no longer the one that the form showed (withdrawing still works).
        JointConsentNeededError: the person is under fifteen.
        TooManyFormsError: too many forms came through this link within an hour.

    """
    link = await find_link(session, form.token_sha256)
    if link is None:
        raise NotFoundError
    subject = await _subject(session, deployment, link)
    # First of all locks, as in every other write about this subject: what is read from here on does not change.
    if (await open_ledger(session, deployment, subject)).ref != link.subject_ref:
        raise ConsentLinkEndedError
    opened = await open_consent_link(session, deployment, form.token_sha256)
    if len(form.nonce) != _NONCE_BYTES or not hmac.compare_digest(form.seal(deployment), seal):
        raise FormNotOursError
    if await count_forms(session, form.token_sha256, since=opened.now - _HOUR) >= FORMS_AN_HOUR:
        raise TooManyFormsError
    if not await claim_form(session, form.token_sha256, form.nonce, opened.now):
        await session.repeat()
        return False
    items = _meant(opened, form, press)
    for item in items:
        await _record(
            session, deployment, opened, subject, _Said(form, item, _ALL.get(press) or Act(press.value), page)
        )
    return True


def _meant(opened: OpenedLink, form: ConsentForm, press: Press) -> Sequence[ShownProcessing]:
    """The processings that a button is about, if it is still there and shows what it showed."""
    of_all = press in _ALL
    if of_all is not (form.processing == ""):
        raise FormNotOursError
    act = _ALL[press] if of_all else Act(press.value)
    if opened.under_15 and act is not Act.WITHDRAW:
        raise JointConsentNeededError
    items = opened.offering(act) if of_all else [item for item in opened.items if item.id == form.processing]
    if not items or any(act not in item.acts for item in items):
        raise FormOutdatedError
    if act not in _NARROWS and shown_digest(items, form.language) != form.shown:
        raise TextChangedError
    return items


async def _subject(session: WriteSession, deployment: Deployment, link: ConsentLink) -> SubjectName:
    """The name that the link was made for, by the id in the vault."""
    name = await load_name(session, link.subject_ref, link.name)
    if name is None:
        raise ConsentLinkEndedError
    return SubjectName(name.type, deployment.vault.open(name.sealed))


@dataclass(frozen=True, slots=True)
class _Said:
    """What one press says of one processing, and how its page looked."""

    form: ConsentForm
    item: ShownProcessing
    act: Act
    page: PageAsShown


async def _record(
    session: WriteSession, deployment: Deployment, opened: OpenedLink, subject: SubjectName, said: _Said
) -> None:
    link, item = opened.link, said.item
    if said.act is Act.WITHDRAW:
        withdrawal = Withdrawal(subject, item.id, method="web_form", link=link.id)
        await withdraw_consent(session, deployment, opened.caller, withdrawal)
        return
    if said.act is Act.DECLINE:
        declined = DeclinedRenewal(subject, item.id, {"method": "web_form", "link": str(link.id)})
        await decline_renewal(session, deployment, opened.caller, declined)
        return
    capacity = {"given_by": (link.given_by or GivenBy.SELF).value}
    if link.kind is LinkKind.JOINT:
        capacity["age_band"] = AgeBand.UNDER_15.value
    elif opened.age_band is not None:
        capacity["age_band"] = opened.age_band.value
    await record_consent(session, deployment, opened.caller, _collected(opened, subject, said, capacity))


def _collected(opened: OpenedLink, subject: SubjectName, said: _Said, capacity: dict[str, str]) -> Collected:
    link, item, language = opened.link, said.item, said.form.language
    return Collected(
        subject=subject,
        processing=item.id,
        kind=EventKind.GRANTED if said.act is Act.ACCEPT else EventKind.REFUSED,
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
        },
        capacity=capacity,
        version=item.version,
        territory=link.territory,
        presented_text=item.text(language).plain,
        presented_page=said.page(opened, item, language),
    )
