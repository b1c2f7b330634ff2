"""What the consent page's template is given: sections, sentences, buttons and their sealed forms."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.core.errors import DomainError, FormAlreadySentError, FormOutdatedError, TextChangedError
from app.core.page.link import Act, LinkKind, Situation
from app.core.page.text import ConsentText, listed
from app.operations.consents.answer_consent_form import ConsentForm, Press
from app.operations.consents.open_consent_link import OpenedLink, ShownProcessing, shown_digest
from app.operations.service.deployment import Deployment
from app.pages.consents.words import CONSENT
from app.pages.dates import day, moment, until
from app.pages.languages import Language
from app.pages.rendering import words

_BANNERS: Final = (
    (FormAlreadySentError, "already_sent"),
    (TextChangedError, "text_changed"),
    (FormOutdatedError, "outdated"),
)


@dataclass(frozen=True, slots=True)
class SealedForm:
    """The hidden fields of a form, and its buttons as (value, label) in the order of reading."""

    form: str
    seal: str
    processing: str
    shown: str
    buttons: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a person can quote: the id of their answer, the version it is about, and the hash of the text shown."""

    id: str
    version: int | None
    text_sha256: str | None


@dataclass(frozen=True, slots=True)
class ConsentSection:
    """One processing on the page. `open`: the whole text stands there, being asked; else `read` unfolds it.

    `if_accepted` and `if_refused` say what follows from which button, outside the text that is hashed: that is one and
    the same whatever buttons stand below it.
    """

    id: str
    text: ConsentText
    version: int
    open: bool
    read: str
    tone: str
    state: tuple[str, ...]
    if_accepted: str | None
    if_refused: str | None
    older_version: int | None
    receipt: Receipt | None
    form: SealedForm | None


def consent_page(deployment: Deployment, opened: OpenedLink, language: Language, banner: str | None) -> dict[str, Any]:
    """The context of `consent.html`."""
    t = words(CONSENT, language)
    asked = opened.offering(Act.REFUSE)
    pending = [item for item in opened.items if len(item.acts) > 1]
    renewing = all(item.situation is Situation.HOLDS for item in pending)
    decided = any(item.decision is not None for item in opened.items)
    holding = opened.offering(Act.WITHDRAW)
    deciding = opened.link.kind is LinkKind.DECIDE
    under_15 = opened.under_15 and deciding
    if under_15:
        title = t["under_15_title"]
    elif deciding and opened.asks and pending:
        title = t["title_renew" if renewing else "title_decide"]
    else:
        title = t["title_withdraw"] if holding and not (deciding and opened.asks) else t["title_answers"]
    return {
        "title": title,
        "banner": banner,
        "controllers": listed(opened.controllers, language.value),
        "asks": t["asks_together" if opened.controllers[1:] else "asks_many" if opened.items[1:] else "asks_one"],
        "account": opened.account,
        "asking": deciding and opened.asks and bool(pending) and not opened.under_15,
        "under_15": t["under_15_withdraws" if holding else "under_15_nothing"]
        if opened.under_15 and deciding
        else None,
        "withdrawing": bool(holding) and not (deciding and opened.asks),
        "over": deciding and not opened.asks,
        "answered": decided and not pending and not opened.under_15 and (deciding or not holding),
        "asks_until": day(opened.link.expires_at, language) if any(each.asked for each in opened.items) else None,
        "shown_until": (
            t["shown_until"].format(until=moment(opened.shown_until, language)) if opened.shown_until else None
        ),
        "sections": [_section(deployment, opened, item, language, t) for item in opened.items],
        "refuse_all": _form(deployment, opened, language, asked, "", [Press.REFUSE_ALL], t) if asked[1:] else None,
        "withdraw_all": (
            _form(deployment, opened, language, holding, "", [Press.WITHDRAW_ALL], t) if holding[1:] else None
        ),
    }


def banner_of(refusal: DomainError | None, language: Language) -> str | None:
    """What a person is told when nothing was recorded; None for a page that was just opened."""
    word = next((word for kind, word in _BANNERS if isinstance(refusal, kind)), None)
    return words(CONSENT, language)[word] if word is not None else None


def _section(
    deployment: Deployment, opened: OpenedLink, item: ShownProcessing, language: Language, t: dict[str, str]
) -> ConsentSection:
    accepting = Act.ACCEPT in item.acts
    renewing = accepting and item.situation is Situation.HOLDS
    presses = [press for press in (Press.ACCEPT, Press.REFUSE, Press.WITHDRAW) if Act(press.value) in item.acts]
    labels = {**t, "accept": t["renew"], "if_accepted": t["if_renewed"]} if renewing else t
    tone, state = _state(item, language, t)
    decision = item.decision
    about = decision.event.version if decision is not None else None
    evidence = (decision.evidence if decision is not None else None) or {}
    shown_then = evidence.get("presented_text_sha256")
    return ConsentSection(
        id=item.id,
        text=item.texts[language.value],
        version=item.version,
        open=accepting,
        read=t["read_again" if shown_then == item.texts[language.value].sha256 else "read_today"],
        tone=tone,
        state=state,
        if_accepted=f"{labels['if_accepted']} {until(item.would_end_at, language)}." if accepting else None,
        if_refused=_if_refused(item, t) if accepting else None,
        older_version=about if about is not None and about != item.version else None,
        receipt=(Receipt(str(decision.event.id), about, shown_then) if decision is not None else None),
        form=_form(deployment, opened, language, [item], item.id, presses, labels) if presses else None,
    )


def _if_refused(item: ShownProcessing, t: dict[str, str]) -> str:
    """How to say no, in terms of the buttons that stand there."""
    if Act.REFUSE in item.acts:
        return t["to_refuse"]
    if item.situation is Situation.HOLDS:
        return t["to_let_end"]
    return t["to_stay_refused" if item.situation is Situation.REFUSED else "to_stay_withdrawn"]


def _state(item: ShownProcessing, language: Language, t: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """The tone of the note that says where the person stands, and its sentences."""
    stopped = () if item.active else (t["inactive"],)
    if item.decision is None:
        return "", stopped or (t["undecided"],)
    when = f"{t['on']} {moment(item.decision.event.collected_at, language)}."
    if item.situation is Situation.HOLDS and item.ends_at is not None:
        holds = f"{t['holds_until']} {until(item.ends_at, language)}."
        return "good", (f"{t['holds']} {when}", holds, *stopped)
    if item.situation is Situation.INVALID:
        return "warn", (t["invalid"], *stopped)
    if item.situation is Situation.LAPSED:
        return "warn", (t["lapsed"], f"{t['lapsed_was']} {when}", *stopped)
    said = t["refused"] if item.situation is Situation.REFUSED else t["withdrawn"]
    return "plain", (f"{said} {when}", t["refused_effect"], *stopped)


def _form(  # noqa: PLR0917 - a form, and what it is about
    deployment: Deployment,
    opened: OpenedLink,
    language: Language,
    items: Sequence[ShownProcessing],
    processing: str,
    presses: Sequence[Press],
    labels: dict[str, str],
) -> SealedForm:
    form = ConsentForm(
        token_sha256=opened.link.token_sha256,
        nonce=secrets.token_bytes(16),
        processing=processing,
        language=language.value,
        shown=shown_digest(items, language.value),
    )
    return SealedForm(
        form=form.nonce.hex(),
        seal=form.seal(deployment),
        processing=processing,
        shown=form.shown,
        buttons=tuple((press.value, labels[press.value]) for press in presses),
    )
