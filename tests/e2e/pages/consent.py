"""The sample register of the consent page's browser tests, and an operator who makes links."""

from typing import Any

import httpx2
from playwright.sync_api import Page

from tests.support.api import processing, put_controller, question, subject

CONTROLLER = "Exemple Courriel SAS"
CONTACT = "dpo@exemple-courriel.example"
ADS, STATISTICS = "ads-mail", "stats-mail"
BUTTON = "section[data-processing={}] button[value={}]"

CONTROLLERS = (
    {
        "id": "exemple-courriel",
        "kind": "other",
        "legal_name": CONTROLLER,
        "postal_address": "12 rue des Archives, 75004 Paris",
        "contact": "+33 1 23 45 67 89",
        "data_protection_officer": "Mme Martin, dpo@exemple-courriel.example",
        "country": "FR",
    },
)
SITE = "https://www.exemple-courriel.example"
ADDRESSES = {
    "privacy_policy": f"{SITE}/confidentialite",
    "legal_notice": f"{SITE}/mentions-legales",
    "accessibility_statement": f"{SITE}/accessibilite",
}


def _sample(identifier: str, **more: Any) -> dict[str, Any]:
    """A processing of the sample's controller."""
    body = processing(identifier, data_protection_contact=CONTACT, storage_location="Roubaix (France)", **more)
    del body["controller"]
    return {**body, **ADDRESSES, "controllers": ["exemple-courriel"], "derived_data_erased_within": "P30D"}


PROCESSINGS = (
    _sample(
        ADS,
        name={"fr": "Publicité dans la messagerie", "en": "Advertising in the mailbox"},
        notice={
            "fr": "Le contenu et l’objet de vos messages sont analysés pour choisir les publicités affichées à côté de "
            "votre boîte de réception.",
            "en": "The content and subject line of your messages are analysed to choose the advertisements shown "
            "beside your inbox.",
        },
        data_recipients=["Exemple Régie SA", "Example Ads Inc."],
        recipients=[
            {"name": "Exemple Régie SA", "role": "sous-traitant", "country": "FR"},
            {"name": "Example Ads Inc.", "role": "sous-traitant", "country": "US"},
        ],
        transfers=[{"country": "US", "safeguards": "Clauses contractuelles types de la Commission européenne."}],
        consequences={
            "fr": "Votre boîte reste la même ; les publicités affichées ne sont pas choisies d’après vos messages.",
            "en": "Your mailbox stays the same; the advertisements shown are not chosen by your messages.",
        },
        conditional=False,
    ),
    _sample(
        STATISTICS,
        purpose="statistics",
        elements=["correspondent_identity"],
        consent_validity="P6M",
        name={"fr": "Statistiques de correspondance", "en": "Correspondence statistics"},
        notice={
            "fr": "Le nombre de messages échangés d’un service à l’autre est compté.",
            "en": "How many messages go from one service to another is counted.",
        },
    ),
)


class Operator:
    """Whoever runs the service: registers, makes links, asks for decisions."""

    def __init__(self, address: str, key: str) -> None:
        """Call a service with a key of every scope."""
        self.address = address
        self.client = httpx2.Client(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30
        )

    def ok(self, path: str, body: Any) -> Any:
        """The JSON of a POST that must succeed."""
        answer = self.client.post(path, json=body)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()

    def person(self, name: str, *scopes: str) -> str:
        """The key of a new person."""
        made: str = self.ok("/v1/keys", {"name": name, "kind": "person", "scopes": list(scopes)})["key"]
        return made

    def register(self) -> None:
        """Register the sample."""
        for each in CONTROLLERS:
            _, path, body = put_controller(each)
            assert self.client.put(path, json=body).status_code == httpx2.codes.CREATED
        for each in PROCESSINGS:
            self.ok("/v1/processings", each)

    def link(self, name: str, *processings: str, kind: str = "decide", lang: str = "fr", **more: str) -> str:
        """The address of a new link, in a language."""
        body = {
            "subject": subject(name),
            "processings": list(processings or (ADS, STATISTICS)),
            "authentication": "mailbox",
            "kind": kind,
            **more,
        }
        return f"{self.ok('/v1/consent-links', body)['url']}?lang={lang}"

    def joint(self, name: str, reader: str, lang: str = "fr") -> str:
        """The address of the child's or the parent's link about the advertising, in a language."""
        body = {"subject": subject(name), "processings": [ADS], "authentication": "mailbox", "age_band": "under_15"}
        parent = {"parent": subject(f"parent-of-{name}"), "parent_checked_how": "identity_document"}
        made = self.ok("/v1/consent-links", {**body, "kind": "joint", **parent})
        return f"{(made if reader == 'child' else made['parent'])['url']}?lang={lang}"

    def decision(self, name: str, identifier: str = ADS) -> tuple[bool, str]:
        """What a mail server is told: permit or deny, and the reason."""
        answer = self.ok("/access/v1/evaluation", question(name, identifier))
        return answer["decision"], answer["context"]["reason"]

    def history(self, consent: str) -> list[str]:
        """The kinds of event that the ledger holds about a consent, in order."""
        return [each["kind"] for each in self.client.get(f"/v1/consents/{consent}/history").json()["items"]]


def press(page: Page, processing: str, what: str) -> None:
    """Press a button of a processing, and wait for the page that answers."""
    with page.expect_navigation():
        page.click(BUTTON.format(processing, what))
