"""Made-up decisions of the users found in the mail: some consent, one refuses, and two consents do not count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from demo.client import Client
from demo.register import ADS, STATISTICS, TRAINING, notice_of

_MORE_THAN_A_YEAR: Final = timedelta(days=400)
_EVIDENCE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "method": "web_form",
        "positive_act": "button_clicked",
        "default_state": "unselected",
        "separate_from_terms": True,
        "conditional": False,
        "authentication": "signed_in",
        "language": "fr",
        "notice_version": 1,
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one user decides on one processing, and how it is collected."""

    processing: str
    how: str

    def body(self, user: str, now: datetime) -> dict[str, Any]:
        """The request that records it."""
        shown = {"presented_text_sha256": sha256(notice_of(self.processing).encode()).hexdigest()}
        evidence = {**_EVIDENCE, **shown, **_SAID.get(self.how, {})}
        if self.how == OLD:  # one form on paper stands for one person
            evidence["document_sha256"] = sha256(f"The form of {user} in the archives".encode()).hexdigest()
        return {
            "subject": {"type": "user", "id": user},
            "processing": self.processing,
            "decision": "refused" if self.how == REFUSED else "granted",
            "collected_at": (now - _MORE_THAN_A_YEAR if self.how == OLD else now).isoformat(),
            "evidence": evidence,
        }


GRANTED: Final = "granted"
REFUSED: Final = "refused"
OLD: Final = "granted 400 days ago"
PRE_TICKED: Final = "granted, box ticked before"
_SAID: Final[Mapping[str, Mapping[str, Any]]] = {
    PRE_TICKED: {"default_state": "selected"},
    OLD: {
        "method": "paper",
        "positive_act": "signed",
        "authentication": "in_person",
    },
}

_GRANTS_ALL: Final = (Wish(ADS, GRANTED), Wish(STATISTICS, GRANTED), Wish(TRAINING, GRANTED))
_ALONE: Final = ((Wish(ADS, GRANTED), Wish(STATISTICS, OLD), Wish(TRAINING, PRE_TICKED)),)
_IN_COMPANY: Final = (
    _GRANTS_ALL,
    (Wish(ADS, REFUSED), Wish(STATISTICS, OLD), Wish(TRAINING, GRANTED)),
    (Wish(ADS, PRE_TICKED), Wish(STATISTICS, GRANTED), Wish(TRAINING, GRANTED)),
    (Wish(ADS, OLD), Wish(STATISTICS, REFUSED)),
)
"""By rank, the most frequent recipient first; those further down are never asked."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One decision as the service took it: its state now, or why it was not recorded."""

    user: str
    wish: Wish
    state: str


def record_consents(client: Client, users: tuple[str, ...]) -> list[Recorded]:
    """Record what each of the first users decides, appended to whatever is there from an earlier run."""
    cast = _ALONE if len(users) == 1 else _IN_COMPANY
    now = datetime.now(UTC)
    recorded: list[Recorded] = []
    for user, wishes in zip(users, cast, strict=False):
        for wish in wishes:
            status, told = client.ask("POST", "/v1/consents", wish.body(user, now))
            state = told.get("state") or f"not recorded ({status}: {told.get('detail')})"
            recorded.append(Recorded(user, wish, state))
    return recorded
