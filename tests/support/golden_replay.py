"""A golden file through the real API and a real database: its register, each case's events, then the questions."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.conformance.reader import GoldenCase, GoldenEvent, GoldenFile
from app.core.consent import ConsentEvent, EventKind
from app.core.processing import Processing, ProcessingVersion, material_changes
from app.db.database import Database
from app.db.session import uuid7
from app.ledger.identifiers import Pseudonyms
from app.ledger.locators import find_ref
from app.ledger.projection import LedgerEntry
from app.ledger.store import append_entries
from tests.support.api import PSEUDONYM_KEY, Api, TestClock, processing, question, subject
from tests.support.consents import grant
from tests.support.databases import TestDatabase

REGISTERED = datetime(2014, 1, 1, tzinfo=UTC)
"""What stands for "always": older than any instant of the files."""
FAR_AHEAD = datetime(2035, 1, 1, tzinfo=UTC)
UNKNOWN_TEXT = "ab" * 32
_SYSTEM = {EventKind.EXPIRED, EventKind.SUPERSEDED, EventKind.ERASED}


def wire(at: datetime) -> str:
    """An instant as the API writes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Replay:
    """One golden file on one running application."""

    api: Api
    clock: TestClock
    database: TestDatabase
    file: GoldenFile

    def register(self) -> None:
        """Register every processing of the file, its versions ahead of their time, what changes it in its own."""
        for entry in self.file.processings.values():
            if is_refused(entry):
                continue
            first, *later = entry.versions
            self.clock.at = first.effective_from or REGISTERED
            self.api.ok("POST", "/v1/processings", _body(entry, first))
            for before, version in zip(entry.versions, later, strict=False):
                body = _body(entry, version)
                del body["id"]
                # The API demands that what is material is called so; the rules take it for that anyway. Nor does it
                # take a version that claims to have started before the first one; the rules look at the first.
                body["material"] = version.material or bool(material_changes(before, version))
                body["started_on"] = max(version.started_on, first.started_on).isoformat()
                body["effective_from"] = wire(version.effective_from or REGISTERED)
                self.api.ok("POST", f"/v1/processings/{entry.id}/versions", body)
            for change in entry.status_changes:
                self.clock.at = change.at
                self.api.ok("PATCH", f"/v1/processings/{entry.id}", {"status": change.status})
            for each in entry.invalidations:
                self.clock.at = each.at
                target = {"text": each.text} if each.version is None else {"version": each.version}
                self.api.ok("POST", f"/v1/processings/{entry.id}/invalidations", {**target, "reason": "Unlawful."})

    def name(self, case: GoldenCase, subject_id: str) -> str:
        """A name for one of the case's subjects that no other case has."""
        return f"{case.line}.{subject_id}"

    def record(self, case: GoldenCase) -> None:
        """Record a case's events in ledger order, live where their time allows it, and then what is shared."""
        done: dict[str, list[datetime]] = {}
        for golden in case.events:
            name = self.name(case, golden.subject_id)
            before = done.setdefault(name, [])
            self._event(name, golden, before)
            before.append(golden.event.collected_at)
        for mailbox in sorted(case.shared):
            self.clock.at = case.at
            mailbox_body = {"subject": subject(self.name(case, mailbox)), "shared": True}
            self.api.ok("POST", "/v1/subjects/mailboxes", mailbox_body)

    def _event(self, name: str, golden: GoldenEvent, before: Sequence[datetime]) -> None:
        event = golden.event
        stated: str | None = None
        self.clock.at = event.collected_at
        if any(at >= event.collected_at for at in before):
            self.clock.at = max(before) + timedelta(hours=1)
            stated = wire(event.collected_at)
        if event.kind in _SYSTEM:
            asyncio.run(self._append(name, event, order=len(before) + 1))
        elif event.kind is EventKind.CLOSED:
            assert stated is None, "closures are never imported"
            self.api.ok("POST", "/v1/subjects/closures", {"subject": subject(name)})
        elif event.kind is EventKind.AGE_STATED:
            statement = {"stated_by": "self", "checked_how": "not_checked", **golden.capacity}
            more = {"at": stated} if stated else {}
            self.api.ok("POST", "/v1/subjects/ages", {"subject": subject(name), **statement, **more})
        elif event.kind is EventKind.RENEWAL_DECLINED:
            assert stated is None, "a declined renewal is never imported"
            self.api.ok("POST", "/v1/renewals/declined", {"subject": subject(name), "processing": event.processing})
        elif event.kind is EventKind.WITHDRAWN:
            self.api.withdraw(name, event.processing, **({"received_at": stated} if stated else {}))
        else:
            self._decision(name, golden, stated)

    def _decision(self, name: str, golden: GoldenEvent, stated: str | None) -> None:
        event = golden.event
        entry = self.file.processings[event.processing or ""]
        evidence: dict[str, Any] = {key: value for key, value in golden.evidence.items() if key != "text_known"}
        if golden.evidence.get("text_known") is False:
            evidence["presented_text_sha256"] = UNKNOWN_TEXT
        more: dict[str, Any] = {"version": event.version, "evidence": evidence, "territory": event.territory}
        if event.elements is not None:
            more["elements"] = sorted(event.elements)
        if golden.capacity:
            more["capacity"] = dict(golden.capacity)
        if stated is not None:
            more["collected_at"] = stated
        if entry.rests_on_consent:
            self.api.decide(name, entry.id, event.kind, **more)
        else:
            refused = self.api.call("POST", "/v1/consents", _consent(name, entry.id, event.kind, more))
            assert refused.status_code == 409
            assert refused.json()["type"] == "urn:sceau:problem:consent-not-applicable"

    async def _append(self, name: str, event: ConsentEvent, *, order: int) -> None:
        """Append a system event, as a job does, through no route."""
        pseudonyms = Pseudonyms(bytes.fromhex(PSEUDONYM_KEY))
        at = event.collected_at
        own = ConsentEvent(id=uuid7(at), kind=event.kind, processing=event.processing, collected_at=at, order=order)
        database = Database(self.database.app_url)
        async with database.write() as session:
            ref = await find_ref(session, pseudonyms.found_by("user", name))
            assert ref is not None
            append_entries(session, [LedgerEntry(ref, own, recorded_at=at, recorded_by=UUID(int=0))])
        await database.close()

    def question(self, case: GoldenCase) -> dict[str, Any]:
        """The case's request on the wire; what it leaves out is left out."""
        request = case.request
        properties: dict[str, Any] = {}
        if request.elements is not None:
            properties["elements"] = sorted(request.elements)
        if not request.automated:
            properties["automated"] = False
        if not request.private:
            properties["private"] = False
        if request.channel != "online":
            properties["channel"] = request.channel
        if request.territory != "FR":
            properties["territory"] = request.territory
        if request.participants is not None:
            named = [(self.name(case, each.ref.decode()), each.local) for each in request.participants]
            properties["participants"] = [{"id": name, "local": local} for name, local in named]
        return question(self.name(case, request.subject.decode()), request.processing, **properties)


def is_refused(entry: Processing) -> bool:
    """Whether the register refuses this version, so that cases about it run in the core alone."""
    return any(version.conditional for version in entry.versions)


def answered_live(file: GoldenFile, case: GoldenCase) -> bool:
    """Whether nothing that the database holds is later than the instant judged."""
    at, request = case.at, case.request
    entry = file.processings.get(request.processing)
    registered = entry is None or (entry.versions[0].effective_from or REGISTERED) <= at
    changes = [change.at for change in entry.changes] if entry is not None else []
    looked_at = {each.decode() for each in (request.subject, *(party.ref for party in request.participants or ()))}
    events = [each.event.collected_at for each in case.events if each.subject_id in looked_at]
    return registered and all(done <= at for done in [*changes, *events])


def body_of(entry: Processing) -> dict[str, Any]:
    """The first version of an entry on the wire."""
    return _body(entry, entry.versions[0])


def _body(entry: Processing, version: ProcessingVersion) -> dict[str, Any]:
    return processing(
        entry.id,
        purpose=entry.purpose,
        provider_kind=version.provider_kind,
        elements=sorted(version.elements),
        automated=version.automated,
        party_mode=version.party_mode,
        started_on=version.started_on.isoformat(),
        consent_validity=str(version.consent_validity),
        data_recipients=sorted(each.name for each in version.recipients),
        retention=str(version.retention),
        transfers=[{"country": each.country, "safeguards": "Clauses."} for each in sorted(version.transfers)],
        storage_location=version.storage_location,
        automated_decisions=version.automated_decisions,
        derived_data_erased_within=str(version.derived_data_erased_within),
        conditional=version.conditional,
        service=version.service,
        age_statement_required=version.age_statement_required,
    )


def _consent(name: str, identifier: str, kind: EventKind, more: dict[str, Any]) -> dict[str, Any]:
    return {**grant(name, identifier, **more), "decision": kind}
