"""The sample register of the consent page's browser tests, and an operator who makes links."""

from typing import Any

import httpx2
from playwright.sync_api import Page

from tests.support.api import processing, question, subject

CONTROLLER = "Exemple Courriel SAS"
CONTACT = "dpo@exemple-courriel.example"
ADS, STATISTICS = "ads-mail", "stats-mail"
BUTTON = "section[data-processing={}] button[value={}]"

PROCESSINGS = (
    processing(
        ADS,
        controller=CONTROLLER,
        name={"fr": "Publicité dans la messagerie", "en": "Advertising in the mailbox"},
        notice={
            "fr": "Le contenu et l’objet de vos messages sont analysés pour choisir les publicités affichées à côté de "
            "votre boîte de réception.",
            "en": "The content and subject line of your messages are analysed to choose the advertisements shown "
            "beside your inbox.",
        },
        data_recipients=["Exemple Régie SA"],
        data_protection_contact=CONTACT,
    ),
    processing(
        STATISTICS,
        controller=CONTROLLER,
        purpose="statistics",
        elements=["correspondent_identity"],
        consent_validity="P6M",
        name={"fr": "Statistiques de correspondance", "en": "Correspondence statistics"},
        notice={
            "fr": "Le nombre de messages échangés d’un service à l’autre est compté.",
            "en": "How many messages go from one service to another is counted.",
        },
        data_protection_contact=CONTACT,
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

    def register(self) -> None:
        """Register the sample."""
        for each in PROCESSINGS:
            self.ok("/v1/processings", each)

    def link(self, name: str, *processings: str, kind: str = "decide", lang: str = "fr") -> str:
        """The address of a new link, in a language."""
        body = {
            "subject": subject(name),
            "processings": list(processings or (ADS, STATISTICS)),
            "authentication": "mailbox",
            "kind": kind,
        }
        return f"{self.ok('/v1/consent-links', body)['url']}?lang={lang}"

    def decision(self, name: str, identifier: str = ADS) -> tuple[bool, str]:
        """What a mail server is told: permit or deny, and the reason."""
        told = self.ok("/access/v1/evaluation", question(name, identifier))
        return told["decision"], told["context"]["reason"]

    def history(self, consent: str) -> list[str]:
        """The kinds of event that the ledger holds about a consent, in order."""
        return [each["kind"] for each in self.client.get(f"/v1/consents/{consent}/history").json()["items"]]


def press(page: Page, processing: str, what: str) -> None:
    """Press a button of a processing."""
    page.click(BUTTON.format(processing, what))
