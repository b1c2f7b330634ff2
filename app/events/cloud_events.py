"""Domain events as CloudEvents 1.0 in the JSON event format: what a webhook's body and a page of events hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from app.events.effects import ENDING
from app.events.feed import OutboxEvent

MEDIA_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""Of a body in structured content mode (CloudEvents HTTP protocol binding 1.0.2, section 3.2)."""


@dataclass(frozen=True, slots=True)
class KnownSubject:
    """One name of the person whom an event is about, as a receiver that asked for it is told."""

    type: str
    id: str

    def __repr__(self) -> str:
        """The type alone."""
        return f"KnownSubject(type={self.type!r})"


def cloud_event(
    event: OutboxEvent,
    source: str,
    *,
    names: Sequence[KnownSubject] | None = None,
    receiver: UUID | None = None,
) -> dict[str, Any]:
    """An event in the JSON event format.

    Args:
        event: as written to the outbox.
        source: where it comes from: the public address of this deployment.
        names: who it is about, for receivers that are told: every name of the person, the first one first, and none
            once they were erased; None leaves the members out.
        receiver: the endpoint that it is sent to, an extension attribute: one signature then is good for one receiver,
            which could else hand the message on to another as if it came from here. None leaves it out.

    """
    data: dict[str, Any] = dict(event.data)
    if event.type in ENDING:
        data["effects"] = ["stop", "erase_derived_data"]
    if names is not None:
        told = [{"type": each.type, "id": each.id} for each in names]
        data["subject"] = told[0] if told else None
        if told[1:]:
            data["other_names"] = told[1:]
    return {
        "specversion": "1.0",
        "id": str(event.id),
        "source": source,
        "type": event.type,
        "time": event.occurred_at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **({"receiver": str(receiver)} if receiver is not None else {}),
        "data": data,
    }


EXAMPLE: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
    "source": "https://sceau.example.fr",
    "type": "fr.sceau.consent.granted",
    "time": "2026-03-09T09:30:00.000000Z",
    "datacontenttype": "application/json",
    "data": {"consent": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e10", "processing": "ads-mail"},
}
