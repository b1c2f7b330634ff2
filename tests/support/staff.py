"""Persons, what they acknowledge, and notices, in a few words."""

from typing import Any

import psycopg

from tests.support.api import Api
from tests.support.databases import TestDatabase

ENOUGH = {
    "fr": """# Ce qui est secret

Le contenu, l’identité des correspondants, l’intitulé et les documents joints.

- code pénal, article 226-13 : un an et 15 000 euros
- article 226-15 : un an et 45 000 euros
- article 432-9, ses deux alinéas : trois ans et 45 000 euros

Le secret dure au-delà de votre contrat.""",
    "en": """# What is secret

The content, the identity of the correspondents, the subject line and the attachments.

- code pénal, article 226-13: one year and 15,000 euros
- article 226-15: one year and 45,000 euros
- article 432-9, both paragraphs: three years and 45,000 euros

Secrecy outlasts your job.""",
}
"""The least that a notice must say."""
TEXT = {"fr": {"title": "Titre", "body": ENOUGH["fr"]}, "en": {"title": "Title", "body": ENOUGH["en"]}}


def person(api: Api, *scopes: str, name: str = "Ada") -> tuple[str, Api]:
    """A person's id, and the application called with her key."""
    made = api.ok("POST", "/v1/keys", {"name": name, "kind": "person", "scopes": list(scopes) or ["audit:read"]})
    return made["id"], api.with_key(made["key"])


def shown(api: Api, language: str = "fr") -> dict[str, Any]:
    """What a person is shown today, as an acknowledgement names it."""
    notice = api.ok("GET", "/v1/staff/notices")["items"][-1]
    text = notice["texts"][language]
    return {"notice": notice["number"], "language": language, "text_sha256": text["sha256"]}


def acknowledge(api: Api, language: str = "fr") -> Any:
    """Acknowledge the notice of today, as the person who calls."""
    return api.ok("POST", "/v1/staff/acknowledgements", shown(api, language))


def acknowledged_before(database: TestDatabase, identifier: str, notice: int = 1) -> None:
    """A person's acknowledgement of an incomplete version, which the service would refuse."""
    _insert(database, identifier, notice, "api")


def paper_of_before(database: TestDatabase, identifier: str, notice: int = 1) -> None:
    """A paper recorded for a person with access, which the service would refuse."""
    _insert(database, identifier, notice, "paper")


def _insert(database: TestDatabase, identifier: str, notice: int, way: str) -> None:
    with psycopg.connect(database.app_url) as connection:
        member = "INSERT INTO staff_member (id, caller, registered_at) VALUES (%(id)s, %(id)s, now())"
        connection.execute(member, {"id": identifier})
        connection.execute(
            "INSERT INTO staff_acknowledgement SELECT gen_random_uuid(), %s, number, 'fr', sha256(''), %s,"
            " published_at, now(), gen_random_uuid() FROM staff_notice WHERE number = %s",
            [identifier, way, notice],
        )


def publish(api: Api, **texts: Any) -> Any:
    """Publish a version."""
    return api.ok("POST", "/v1/staff/notices", texts or TEXT)


def covered(api, identifier):
    """How one member stands, and what they acknowledged."""
    (member,) = api.ok("GET", f"/v1/staff/coverage?member={identifier}")["items"]
    return member


def paper(api, member, signed, notice=2, language="fr"):
    """The answer to a record that a person signed a version on paper at a time."""
    body = {"member": member, "notice": notice, "language": language, "acknowledged_at": signed}
    return api.call("POST", "/v1/staff/acknowledgements", body)
