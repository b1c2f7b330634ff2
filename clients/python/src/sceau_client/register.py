"""The register as it was last fetched, and what can be answered from it alone: plain exempt analyses (L32-3 III).

Only permits are answered here, and only in the plain case: an exempt purpose, active, automated, private, online, in a
territory of the article, elements that are declared. For every other question Sceau is asked, whatever is known here:
the rules live there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sceau_client.decisions import Decision
from sceau_client.questions import Question
from sceau_client.wire import NotUnderstoodError
from sceau_client.words import Channel, ExemptPurpose, Outcome

TERRITORIES: Final = frozenset({"FR", "GP", "MQ", "GF", "RE", "YT", "BL", "MF", "PM", "WF"})
"""Where the article applies (ISO 3166-1)."""

EXEMPT: Final = Decision(outcome=Outcome.PERMIT, reason="exempt", article="L32-3 III", local=True)
_PURPOSES: Final = frozenset(ExemptPurpose)


@dataclass(frozen=True, slots=True)
class Entry:
    """One processing: whether it may be answered from here, and which elements it declares (None: any)."""

    exempt: bool
    elements: frozenset[str] | None


class Register:
    """The known processings, by id."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        """Hold entries."""
        self._entries = entries

    def __contains__(self, processing: object) -> bool:
        """Whether questions about this processing may be answered here."""
        return isinstance(processing, str) and processing in self._entries and self._entries[processing].exempt

    def answer(self, question: Question) -> Decision | None:
        """The permit of an exempt analysis; None if Sceau has to be asked."""
        entry, about = self._entries.get(question.processing), question.correspondence
        plain = (
            entry is not None
            and entry.exempt
            and question.automated
            and not question.token
            and about.private
            and about.channel is Channel.ONLINE
            and about.territory in TERRITORIES
            and (entry.elements is None or question.elements <= entry.elements)
        )
        return EXEMPT if plain else None


def declared(purposes: Mapping[str, ExemptPurpose]) -> Register:
    """The register as the program declares it, for the time before one has been fetched."""
    if not all(isinstance(purpose, ExemptPurpose) for purpose in purposes.values()):
        raise TypeError("declare each exempt processing with its ExemptPurpose")
    return Register({name: Entry(exempt=True, elements=None) for name in purposes})


def read_register(body: Mapping[str, Any]) -> Register:
    """The answer of `GET /v1/processings`.

    Raises:
        NotUnderstoodError: it is no such answer.

    """
    items = body.get("items")
    if type(items) is not list:
        raise NotUnderstoodError
    return Register(dict(map(_entry, items)))


def _entry(value: Any) -> tuple[str, Entry]:  # noqa: ANN401 - any JSON value
    if type(value) is not dict or type(value.get("id")) is not str:
        raise NotUnderstoodError
    version = value.get("version")
    if version is None:  # none in force yet
        return value["id"], Entry(exempt=False, elements=frozenset())
    elements = version.get("elements") if type(version) is dict else None
    if type(elements) is not list or not all(type(each) is str for each in elements):
        raise NotUnderstoodError
    exempt = (
        type(value.get("purpose")) is str
        and value["purpose"] in _PURPOSES
        and value.get("paragraph") == "L32-3 III"
        and value.get("status") == "active"
        and version.get("automated") is True
    )
    return value["id"], Entry(exempt=exempt, elements=frozenset(elements))
