"""The page about everything that is held about a person: what an export of it tells, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from typing import Any, Final

from app.core.consent import CheckedHow, EventKind
from app.core.durations import retention_in_words
from app.core.page.link import account_hint
from app.core.page.passages import Mark, Passage, listed, registered
from app.core.page.questions import rights
from app.core.page.voice import Voice
from app.core.retention import Retention
from app.operations.consents.overview_link import OpenedOverview
from app.pages import dates
from app.pages.rendering import words
from app.pages.service.words import REASONS
from app.pages.words import Catalogue, Language, both

OVERVIEW: Final[Catalogue] = {
    "title": both(
        "Ce que le registre des consentements conserve sur vous", "What the register of consents holds about you"
    ),
    "lead": both(
        "Vos réponses, et ce qui a été décidé d’après elles. Aucun message n’est conservé ici : votre messagerie est "
        "chez l’opérateur du service, à qui vous pouvez demander le reste.",
        "Your answers, and what was decided by them. No message is kept here: the operator of the service has your "
        "mailbox, and you can ask them for the rest.",
    ),
    "account": both("Votre compte :", "Your account:"),
    "as_of": both("État au", "As of"),
    "save": both("Gardez tout cela dans un fichier :", "Keep all of this as a file:"),
    "save_json": both("données pour un logiciel (JSON-LD)", "data for software (JSON-LD)"),
    "print": both("Cette page s’imprime en entier.", "This page prints whole."),
    "change": both(
        "Pour retirer un accord, employez le lien que le service vous a envoyé, ou demandez-lui-en un : cette page "
        "n’enregistre rien.",
        "To withdraw a consent, use the link that the service sent you, or ask it for one: this page records nothing.",
    ),
    "answers": both("Vos réponses", "Your answers"),
    "answers_none": both("Aucune réponse n’est enregistrée.", "No answer is recorded."),
    "about_all": both("tous les traitements", "every processing"),
    "version": both("version", "version"),
    "holds_until": both("valable au plus tard jusqu’au", "valid at the latest until"),
    "imported": both("repris d’un autre système", "taken over from another system"),
    "shown": both("Le texte qui a été montré", "The text that was shown"),
    "not_kept": both("Le texte n’a pas été conservé.", "The text was not kept."),
    "decisions": both("Ce qui a été décidé", "What was decided"),
    "decisions_none": both("Aucune décision n’est enregistrée.", "No decision is recorded."),
    "decisions_lead": both(
        "Avant d’analyser un message, votre fournisseur demande s’il en a le droit. Voici les réponses, par jour "
        "(UTC).",
        "Before it analyses a message, your provider asks whether it may. These are the answers, by day (UTC).",
    ),
    "decisions_part": both(
        "Ce qui n’a pas besoin de votre accord (affichage, tri, acheminement, spam, virus) n’est enregistré qu’en "
        "partie. Chaque jour est conservé {period}, puis effacé : il n’en reste que des totaux de tous les "
        "utilisateurs.",
        "What needs no consent (display, sorting, routing, spam, malware) is recorded in part. Each day is kept for "
        "{period}, then erased: what remains are totals over all users.",
    ),
    "decisions_file": both("Les jours plus anciens sont dans le fichier.", "Older days are in the file."),
    "by_day": both("Par jour", "By day"),
    "permitted": both("analyse permise", "analysis permitted"),
    "denied": both("analyse refusée", "analysis denied"),
    "times": both("fois", "times"),
    "once": both("fois", "time"),
    "looked": both("Quand ces données ont été consultées ou changées", "When these data were looked at or changed"),
    "looked_none": both("Jamais, d’après ce qui est enregistré.", "Never, by what is recorded."),
    "operator": both("l’opérateur du service", "the operator of the service"),
    "age": both("âge déclaré alors :", "age stated then:"),
    "rights": both("Vos droits", "Your rights"),
    "beside": both("Ce qui est conservé en outre", "What else is kept"),
    "beside_none": both("Rien d’autre n’est conservé.", "Nothing else is kept."),
    "link": both(
        "L’opérateur du service a établi un lien pour vous", "The operator of the service made a link for you"
    ),
    "asked": both("Un accord vous a été demandé", "You were asked for your consent"),
    "flag": both("Un de vos accords", "One of your consents"),
    "flagged": both("signalé le", "flagged on"),
    "name": both(
        "Vos réponses valent aussi pour l’adresse ou le compte",
        "Your answers also count for the address or account",
    ),
    "mailbox": both(
        "Cette boîte est partagée entre plusieurs personnes : aucun accord n’y est demandé",
        "Several people share this mailbox: it is not asked for any consent",
    ),
    "since": both("depuis le", "since"),
    "on": both("le", "on"),
    "kept_until": both("Ce lien montre cette page jusqu’au", "This link shows this page until"),
    "secret": both(
        "Qui détient cette adresse peut lire cette page : ne la transmettez à personne.",
        "Whoever has this address can read this page: pass it on to nobody.",
    ),
    "file": both("mes-donnees", "my-data"),
}

AGES: Final[Catalogue] = {
    "adult": both("18 ans ou plus", "18 or older"),
    "minor_15_plus": both("15 à 17 ans", "15 to 17"),
    "under_15": both("moins de 15 ans", "under 15"),
}

STATED_BY: Final[Catalogue] = {
    "self": both("déclaré par vous-même", "stated by yourself"),
    "holder_of_parental_responsibility": both(
        "déclaré par un titulaire de l’autorité parentale", "stated by a holder of parental responsibility"
    ),
    "operator": both("déclaré par l’opérateur du service", "stated by the operator of the service"),
}

CHECKED: Final[Catalogue] = {
    "not_checked": both("non vérifié", "not checked"),
    "identity_document": both("vérifié par une pièce d’identité", "checked by an identity document"),
    "payment_card": both("vérifié par une carte de paiement", "checked by a payment card"),
    "account_data": both("vérifié d’après les données du compte", "checked by the data of the account"),
    "other": both("vérifié d’une autre façon", "checked in another way"),
}

GIVEN_BY: Final[Catalogue] = {
    "holder_of_parental_responsibility": both(
        "donné par un titulaire de l’autorité parentale", "given by a holder of parental responsibility"
    ),
    "guardian": both("donné par un tuteur ou une tutrice", "given by a guardian"),
    "both": both(
        "donné par l’enfant et un titulaire de l’autorité parentale",
        "given by the child and a holder of parental responsibility",
    ),
    "administrator": both("enregistré par un administrateur", "recorded by an administrator"),
}
"""In which capacity an answer was given, where it was not the person's own alone."""

EVENTS: Final[Catalogue] = {
    "granted": both("Accord", "Consent"),
    "refused": both("Refus", "Refusal"),
    "withdrawn": both("Retrait de l’accord", "Withdrawal of the consent"),
    "closed": both("Fin", "End"),
    "expired": both("Expiration", "Expiry"),
    "superseded": both("Version dépassée", "Version superseded"),
    "erased": both("Effacement", "Erasure"),
    "age_stated": both("Âge déclaré", "Age stated"),
    "renewal_declined": both("Renouvellement non souhaité", "Renewal not wanted"),
}

FLAGS: Final[Catalogue] = {
    "due": both("prend bientôt fin", "ends soon"),
    "expired": both("a pris fin", "has ended"),
    "superseded": both("portait sur une version dépassée", "was about a version that is superseded"),
    "closed": both("a pris fin avec le traitement", "has ended with the processing"),
    "invalidated": both(
        "ne vaut plus : ce qui avait été accepté a été invalidé",
        "no longer counts: what was accepted has been invalidated",
    ),
}

ACTS: Final[Catalogue] = {
    "audit_trail.searched": both("a cherché qui avait consulté ces données", "searched who had looked at these data"),
    "consent.history_read": both(
        "a lu vos réponses, leur preuve ou un reçu", "read your answers, their proof or a receipt"
    ),
    "decision.explained": both("s’est fait expliquer une décision", "had a decision explained"),
    "decisions.searched": both("a cherché des décisions vous concernant", "searched decisions about you"),
    "mailbox.shared": both("a déclaré une boîte partagée", "stated a shared mailbox"),
    "mailbox.unshared": both("a déclaré une boîte non partagée", "stated that a mailbox is not shared"),
    "subject.closed": both("a clos le compte", "closed the account"),
    "subject.erased": both("a effacé le compte", "erased the account"),
    "subject.exported": both(
        "a exporté ces données, ou établi un lien vers cette page", "exported these data, or made a link to this page"
    ),
    "subjects.linked": both("a rattaché un autre nom à ce compte", "added another name to this account"),
    "subjects.unlinked": both("a retiré un nom de ce compte", "took a name from this account"),
    "subjects.searched": both("a cherché des personnes", "searched people"),
}
"""By the code of the act; one that has no words here is shown by its code."""


_ANSWERS: Final = {True: "permitted", False: "denied"}
_DAYS_SHOWN: Final = 400
"""Rows of a table of decisions: more of them would be a page that no phone opens; the file has all."""


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One line of what a person said, and the text that they were shown.

    `about`: the name of a processing, or the age that was stated.
    """

    said: str
    when: str
    about: Passage
    more: tuple[str, ...]
    text: tuple[str, ...]
    language: str | None
    lost_text: bool


@dataclass(frozen=True, slots=True)
class ToldDay:
    """How often one answer was given on a day."""

    day: str
    answer: str
    why: str
    number: str


@dataclass(frozen=True, slots=True)
class ToldDecisions:
    """What was decided about one processing."""

    processing: Passage
    total: str
    days: tuple[ToldDay, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ToldAct:
    """That the operator looked, or changed something, and when. Keys have names that say nothing to a person."""

    when: str
    what: str


def overview_page(
    told: Mapping[str, Any], opened: OpenedOverview, language: Language, decisions_kept: timedelta
) -> dict[str, Any]:
    """The context of `overview.html`.

    Args:
        told: what the export tells.
        opened: the link.
        language: of the page.
        decisions_kept: for how long each decision is kept.

    """
    say = _Sayer(told, language)
    t = words(OVERVIEW, language)
    return {
        "title": t["title"],
        "account": opened.account,
        "as_of": dates.moment(opened.now, language),
        "until": dates.moment(opened.expires_at, language),
        "events": [say.event(each) for each in reversed(told["events"])],
        "decisions": list(say.decisions()),
        "decisions_part": t["decisions_part"].format(period=_days(decisions_kept, language)),
        "looked": [say.act(each) for each in reversed(told["looked_at"])],
        "beside": list(say.beside()),
        "rights": rights(Voice(language.value)),
    }


def _days(length: timedelta, language: Language) -> str:
    whole = Retention(0, int(length.total_seconds()), "")
    return retention_in_words(whole, language.value) or ""


class _Sayer:
    """Puts what an export tells into words."""

    def __init__(self, told: Mapping[str, Any], language: Language) -> None:
        self._told = told
        self._language = language
        self._t = words(OVERVIEW, language)

    def event(self, event: Mapping[str, Any]) -> ToldEvent:
        """One line of the ledger."""
        shown = (event.get("evidence") or {}).get("presented_text_sha256")
        text = self._told["texts_shown"].get(shown)
        more = [f"{self._t['version']} {event['version']}"] if "version" in event else []
        if event["kind"] == "granted" and "expires_at" in event:
            more.append(f"{self._t['holds_until']} {dates.until(_at(event['expires_at']), self._language)}")
        more += self._who_said(event)
        if event["imported"]:
            more.append(self._t["imported"])
        band = str((event.get("capacity") or {}).get("age_band"))
        of_age = event["kind"] == EventKind.AGE_STATED and band in AGES
        return ToldEvent(
            said=EVENTS[event["kind"]][self._language],
            when=self._moment(event["collected_at"]),
            about=self._passage(AGES[band][self._language]) if of_age else self._name(event.get("processing")),
            more=tuple(more),
            text=tuple(text.split("\n")) if text is not None else (),
            language=(event.get("evidence") or {}).get("language"),
            lost_text=shown is not None and text is None,
        )

    def _who_said(self, event: Mapping[str, Any]) -> Iterator[str]:
        """By whom an answer was given, and in which capacity; its age, or who stated one and how it was checked."""
        evidence, capacity = event.get("evidence") or {}, event.get("capacity") or {}
        by = evidence.get("answering_as") or capacity.get("given_by")
        if isinstance(by, str) and by in GIVEN_BY:
            yield GIVEN_BY[by][self._language]
        if "stated_by" in evidence:
            yield STATED_BY[evidence["stated_by"]][self._language]
            yield CHECKED[evidence.get("checked_how", CheckedHow.NOT_CHECKED)][self._language]
        elif "age_band" in capacity and event["kind"] != EventKind.AGE_STATED:
            yield f"{self._t['age']} {AGES[capacity['age_band']][self._language]}"

    def decisions(self) -> Iterator[ToldDecisions]:
        """What was decided, by processing, the latest day first."""
        rows = sorted(self._told["decisions_by_day"], key=lambda row: row["processing"])
        for processing, some in groupby(rows, key=lambda row: row["processing"]):
            days = sorted(some, key=lambda row: row["day"], reverse=True)
            yield ToldDecisions(
                processing=self._name(processing),
                total="; ".join(self._totals(days)),
                days=tuple(self._day(row) for row in islice(days, _DAYS_SHOWN)),
                is_cut=len(days) > _DAYS_SHOWN,
            )

    def act(self, act: Mapping[str, Any]) -> ToldAct:
        """One act of the audit trail."""
        said = ACTS[act["act"]][self._language] if act["act"] in ACTS else act["act"]
        return ToldAct(self._moment(act["at"]), said)

    def beside(self) -> Iterator[Passage]:
        """What else is kept, a line each."""
        told, t = self._told, self._t
        for each in told["consent_links"]:
            yield self._passage(f"{t['link']} {t['on']} {self._moment(each['created_at'])}.")
        for each in told["asked"]:
            which, often = self._name(each["processing"]), self._times(len(each["asked_at"]))
            when = listed([f"{t['on']} {self._moment(at)}" for at in each["asked_at"]], self._language.value)
            said = f"{t['asked']} ({which.text}) {often}, {when}."
            yield self._passage(said, Mark(which.text, language=which.language))
        for each in told["renewal_flags"]:
            which, why = self._name(each["processing"]), FLAGS[each["kind"]][self._language]
            said = f"{t['flag']} ({which.text}) {why}, {t['flagged']} {self._moment(each['flagged_at'])}."
            yield self._passage(said, Mark(which.text, language=which.language))
        for each in told["names"]:
            if "basis" in each:
                hint, since = account_hint(each["id"], each["type"]), self._moment(each["since"])
                yield self._passage(f"{t['name']} {hint}, {t['since']} {since}.", Mark(hint))
        if "shared_since" in told:
            yield self._passage(f"{t['mailbox']}, {t['since']} {self._moment(told['shared_since'])}.")

    def _totals(self, days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for permitted in (True, False):
            number = sum(row["number"] for row in days if row["permitted"] is permitted)
            if number:
                yield f"{self._t[_ANSWERS[permitted]]} {self._times(number)}"

    def _times(self, number: int) -> str:
        return f"{dates.integer(number, self._language)} {self._t['once' if number == 1 else 'times']}"

    def _day(self, row: Mapping[str, Any]) -> ToldDay:
        at = datetime.combine(date.fromisoformat(row["day"]), time(12), UTC)  # the same day in Paris
        answer, why = self._t[_ANSWERS[row["permitted"]]], REASONS[row["reason"]][self._language]
        return ToldDay(dates.day(at, self._language), answer, why, self._times(row["number"]))

    def _passage(self, text: str, *marks: Mark) -> Passage:
        return Passage(text, self._language.value, marks)

    def _name(self, processing: str | None) -> Passage:
        """What a processing is called, in French where there is no other name; its id where the register lost it."""
        if processing is None:
            return self._passage(self._t["about_all"])
        names = self._told["processings"].get(processing)
        return registered(names, self._language.value) if names else self._passage(processing)

    def _moment(self, text: str) -> str:
        return dates.moment(_at(text), self._language)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
