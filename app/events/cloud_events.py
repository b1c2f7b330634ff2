"""Domain events as CloudEvents 1.0 in the JSON event format: what a webhook's body and a page of events hold."""

from collections.abc import Mapping
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
    """The subject of an event as a receiver that asked for it is told: its id is None once it was erased."""

    type: str
    id: str | None

    def __repr__(self) -> str:
        """The type alone."""
        return f"KnownSubject(type={self.type!r})"


def cloud_event(
    event: OutboxEvent, source: str, *, subject: KnownSubject | None = None, receiver: UUID | None = None
) -> dict[str, Any]:
    """An event in the JSON event format.

    Args:
        event: as written to the outbox.
        source: where it comes from: the public address of this deployment.
        subject: who it is about, for receivers that are told; None leaves the member out.
        receiver: the endpoint that it is sent to, an extension attribute: one signature then is good for one receiver,
            which could else hand the message on to another as if it came from here. None leaves it out.

    """
    data: dict[str, Any] = dict(event.data)
    if event.type in ENDING:
        data["effects"] = ["stop", "erase_derived_data"]
    if subject is not None:
        data["subject"] = {"type": subject.type, "id": subject.id}
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
