"""Four things that happen to people: a child, a renewal not wanted, a text that two persons change, an erasure."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from demo.client import Client
from demo.refusal import Refused
from demo.register import ADS, STATISTICS

_CHILD: Final = "lea@people.example"
_PARENT: Final = "anne@people.example"
_ADULT: Final = "max@people.example"
_LEAVER: Final = "sam@people.example"
_WHY: Final = "Clearer words, nothing else."
_LINK: Final = {"kind": "decide", "authentication": "mailbox"}

Say = Callable[[str], None]


class People:
    """Tells the four, as an administrator would do them; what is said is what the service answered."""

    def __init__(self, administrator: Client, say: Say) -> None:
        """Act through an administrator, and say each line."""
        self._administrator = administrator
        self._say = say

    def tell(self) -> None:
        """All four, one after the other.

        Raises:
            Refused: the service does not answer as it must.

        """
        self._child()
        self._renewal_declined()
        self._four_eyes()
        self._erasure()

    def _child(self) -> None:
        """Under 15 a consent is joint: two acts, by child and parent, are one; either alone permits nothing."""
        # What an earlier run recorded is another holder's: its parent's act would be half of this one's consent.
        self._administrator.must("POST", "/v1/subjects/closures", {"subject": _subject(_CHILD)})
        first = self.decide(_CHILD, ADS, {"age_band": "under_15", "given_by": "self"})
        self._say(f"a child consents alone: {first['state']}; a decision says {self._reason(_CHILD, ADS)}")
        parent = {
            "age_band": "under_15",
            "given_by": "holder_of_parental_responsibility",
            "parent": _subject(_PARENT),
            "parent_checked_how": "family_record_book",
        }
        second = self.decide(_CHILD, ADS, parent)
        self._say(f"a parent does too: {second['state']}; a decision says {self._expect(_CHILD, ADS, permitted=True)}")

    def _renewal_declined(self) -> None:
        """The consent goes on to its end, and nobody is reminded."""
        self.decide(_ADULT, ADS)
        body = {"subject": _subject(_ADULT), "processing": ADS}
        declined = self._administrator.must("POST", "/v1/renewals/declined", body)
        status, told = self._administrator.ask("POST", "/v1/consent-links", {**_LINK, "consent": declined["consent"]})
        still = self._expect(_ADULT, ADS, permitted=True)
        self._say(f"renewal declined: a decision still says {still}; a reminder is answered {status}: {told['detail']}")

    def _four_eyes(self) -> None:
        """Whoever changes the words that people are shown needs a second person, and a reason that is kept."""
        proposer, approver = self._caller("proposer", "person"), self._caller("second person", "person")
        try:
            proposed = proposer[0].must("POST", f"/v1/processings/{STATISTICS}/versions", self._other_words())
            number = proposed["proposed_version"]
            ruling = {"processing": STATISTICS, "version": number, "approved": True, "reason": _WHY}
            path = "/v1/rulings"
            status, told = proposer[0].ask("POST", path, ruling)
            self._say(
                f"version {number} of {STATISTICS} is proposed; its own author approves it: {status} {told['type']}"
            )
            approver[0].must("POST", path, ruling)
            self._say(f"a second person approves it, with a reason that is kept: {_WHY}")
        finally:
            for client, identifier in (proposer, approver):
                client.close()
                self._administrator.must("DELETE", f"/v1/keys/{identifier}")

    def _erasure(self) -> None:
        """Nothing leads from the id to the past any more, although the ledger keeps its proof."""
        self.decide(_LEAVER, ADS)
        search = {"subject": _subject(_LEAVER)}
        before = len(self._administrator.must("POST", "/v1/consents/search", search)["items"])
        self._administrator.must("POST", "/v1/subjects/erasures", search)
        after = len(self._administrator.must("POST", "/v1/consents/search", search)["items"])
        denied = self._expect(_LEAVER, ADS, permitted=False)
        self._say(f"erased: {before} consent found by the id before, {after} after; a decision says {denied}")

    def decide(self, user: str, processing: str, capacity: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Record a consent with all that it must prove; what the service answered."""
        version = self._administrator.must("GET", f"/v1/processings/{processing}")["version"]
        evidence = {
            "method": "web_form",
            "positive_act": "button_clicked",
            "default_state": "unselected",
            "separate_from_terms": True,
            "conditional": False,
            "authentication": "signed_in",
            "language": "fr",
            "notice_version": version["number"],
            "presented_text_sha256": version["notice_sha256"]["fr"],
        }
        body = {
            "subject": _subject(user),
            "processing": processing,
            "decision": "granted",
            "version": version["number"],
            "collected_at": datetime.now(UTC).isoformat(),
            "evidence": evidence,
            **({} if capacity is None else {"capacity": capacity}),
        }
        return self._administrator.must("POST", "/v1/consents", body)

    def _reason(self, user: str, processing: str) -> str:
        return str(self._answer(user, processing)["context"]["reason"])

    def _expect(self, user: str, processing: str, *, permitted: bool) -> str:
        answer = self._answer(user, processing)
        if answer["decision"] is not permitted:
            raise Refused(f"{processing} was answered wrongly for {user}: this is a defect, please report it")
        return str(answer["context"]["reason"])

    def _answer(self, user: str, processing: str) -> Any:  # noqa: ANN401 - JSON
        asked = {
            "subject": _subject(user),
            "action": {"name": processing},
            "resource": {"type": "correspondence", "id": "demo"},
        }
        return self._administrator.must("POST", "/access/v1/evaluation", asked)

    def _caller(self, name: str, kind: str) -> tuple[Client, str]:
        scopes = ["register:read", "register:write", "register:approve"]
        made = self._administrator.must("POST", "/v1/keys", {"name": name, "kind": kind, "scopes": scopes})
        return self._administrator.another(made["key"]), made["id"]

    def _other_words(self) -> dict[str, Any]:
        """The version in force with another notice, said not to be material."""
        view = self._administrator.must("GET", f"/v1/processings/{STATISTICS}")
        version = view["version"]
        words = f"{version['notice']['fr'].split(' (')[0]} (relu, version {view['versions'] + 1})"
        kept = (
            *("provider_kind", "service", "elements", "automated", "party_mode", "started_on", "consent_validity"),
            *("name", "data_recipients", "retention", "categories_of_persons", "storage_location", "security_measures"),
        )
        said = {name: version[name] for name in kept}
        more = {"controller": view["controller"], "purpose": view["purpose"], "notice": {"fr": words}}
        return {**said, **more, "material": False, "reason": _WHY}


def _subject(user: str) -> dict[str, str]:
    return {"type": "user", "id": user}
