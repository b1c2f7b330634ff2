"""Everything that is held about one person, as data that they can take away (GDPR art. 15 and 20).

Since the account began: what an earlier holder of the same id did is not theirs to see. Consents are records as
ISO/IEC TS 27560 has them, in DPV terms (`app.operations.proof.receipts`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from app.audit.log_reading import DecisionsOfADay, decisions_about
from app.audit.trail import ActKind, Target, TrailQuery, every_act, record_act
from app.auth.callers import Caller
from app.auth.store import names_of_callers
from app.core.errors import NotFoundError
from app.core.fold import CONSENTS
from app.db.database import BusyError, Database
from app.db.session import ReadSession, WriteSession
from app.ledger.identifiers import Vault, names_of
from app.ledger.link_store import find_texts, links_of
from app.ledger.locators import shared_since
from app.ledger.projection import LedgerEntry
from app.ledger.store import acts_of_parent, load_entries, solicitations_of
from app.ledger.sweep import flags_of
from app.operations.decisions.judging import instant
from app.operations.proof.receipts import receipt_of, records_of
from app.operations.service.deployment import Deployment, SubjectName, parent_reference, recorded_ref, ref_of
from app.register.records import CONTEXT
from app.register.store import load_processings

_BESIDE: Final = {
    "asked": solicitations_of,
    "renewal_flags": flags_of,
}


@dataclass(frozen=True, slots=True)
class LoggedAbout:
    """What was decided about an account, by its subject_ref."""

    ref: bytes
    decisions: Sequence[DecisionsOfADay]


async def log_about(database: Database, deployment: Deployment, name: SubjectName) -> LoggedAbout:
    """Read the decision log for an export of the account that a name has now, in as many sessions as it takes.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    async with database.read() as session:
        ref = await ref_of(session, deployment, name)
    return LoggedAbout(ref, await decisions_about(database.read, ref))


async def export_subject(
    session: WriteSession,
    deployment: Deployment,
    caller: Caller | None,
    name: SubjectName,
    logged: LoggedAbout,
    *,
    service: str,
) -> dict[str, Any]:
    """Return all that is held about a person, as JSON-LD with members of our own; record that it was handed out.

    Args:
        session: where to read the rest, all of one instant (`at_once`).
        deployment: the one whose names they are.
        caller: the caller that asks; None for an operator's command.
        name: the person's.
        logged: what the decision log says; it was read just before.
        service: the public address.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.
        BusyError: the name has another account since the log was read; sent again, the request finds that.

    """
    ref = await ref_of(session, deployment, name)
    if ref != logged.ref:
        raise BusyError
    export = await everything_about(session, deployment.vault, ref, name, service, logged.decisions)
    locators = deployment.pseudonyms.found_by(name.type, name.id)
    export["as_parent"] = await acts_of_parent(session, parent_reference(deployment, name).hex(), locators)
    by = caller.id if caller is not None else None
    await record_act(session, ActKind.SUBJECT_EXPORTED, by, Target(subject_ref=recorded_ref(ref)))
    return export


async def look_at_subject(
    session: WriteSession, deployment: Deployment, caller: Caller, name: SubjectName, *, service: str
) -> dict[str, Any]:
    """Return the same without decisions, for the operator who answers the person; record that it was read.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    ref = await ref_of(session, deployment, name)
    await record_act(session, ActKind.SUBJECT_READ, caller.id, Target(subject_ref=recorded_ref(ref)))
    return await everything_about(session, deployment.vault, ref, name, service, ())


async def everything_about(  # noqa: PLR0917 - where to read, about whom, and what was read before
    session: ReadSession,
    vault: Vault,
    ref: bytes,
    name: SubjectName,
    service: str,
    logged: Sequence[DecisionsOfADay],
) -> dict[str, Any]:
    """Return what an export says of an account, by its subject_ref and the name that the person knows it by.

    `logged`: what was decided about it (`decisions_about`).
    """
    entries, now = await load_entries(session, ref), await session.now()
    recorded = recorded_ref(ref)
    read = await every_act(session, TrailQuery(target=Target(subject_ref=recorded))) if recorded is not None else []
    names = await names_of_callers(session, {act.caller for act in read if act.caller is not None})
    export = {
        "@context": CONTEXT,
        "@type": "dpv:RecordsOfActivities",
        "dct:created": instant(now),
        "dpv:hasDataSubject": {"@type": "dpv:DataSubject", "dct:identifier": name.id, "type": name.type},
        "dpv:hasRecordOfActivity": await _records(session, entries, name, service),
        "events": [_event(each) for each in entries],
        "texts_shown": await _texts(session, entries),
        "decisions_by_day": [{**asdict(each), "day": each.day.isoformat()} for each in logged],
        "looked_at": [
            {"at": instant(act.at), "act": act.act, "by": names[act.caller] if act.caller is not None else act.way}
            for act in read
        ],
        **await _beside(session, vault, recorded),
    }
    lists = ("events", "decisions_by_day", "renewal_flags", "asked")
    named = {each.get("processing") for name_of_list in lists for each in export[name_of_list]}
    records = await load_processings(session, sorted(named - {None}))
    export["processings"] = {identifier: dict(record.versions[-1].name) for identifier, record in records.items()}
    return export


async def _records(
    session: ReadSession, entries: Sequence[LedgerEntry], name: SubjectName, service: str
) -> list[dict[str, Any]]:
    """Return the consents and refusals of the person, with their name, which stands in no one else's export."""
    records: list[dict[str, Any]] = []
    consents = [entry for entry in entries if entry.event.kind in CONSENTS]
    if consents:
        person_records = await records_of(session, consents[0].subject_ref)
        for entry in consents:
            try:
                record = receipt_of(person_records, entry, None, service).record()
            except NotFoundError:  # the register lost a version: the event itself is listed nevertheless
                continue
            record["dpv:hasDataSubject"]["dct:identifier"] = name.id
            records.append(record)
    return records


def _event(entry: LedgerEntry) -> dict[str, Any]:
    event = entry.event
    members = {
        "id": str(event.id),
        "kind": event.kind.value,
        "processing": event.processing,
        "version": event.version,
        "elements": None if event.elements is None else sorted(event.elements),
        "collected_at": instant(event.collected_at),
        "recorded_at": instant(entry.recorded_at),
        "expires_at": None if event.expires_at is None else instant(event.expires_at),
        "territory": event.territory,
        "imported": entry.imported,
        "evidence": entry.evidence,
        "capacity": entry.capacity,
    }
    return {name: value for name, value in members.items() if value is not None}


async def _texts(session: ReadSession, entries: Iterable[LedgerEntry]) -> dict[str, str]:
    """Return the texts that were shown, by their SHA-256: those of Sceau's page, and notices in the register."""
    digests = {str((entry.evidence or {}).get("presented_text_sha256") or "") for entry in entries} - {""}
    kept = await find_texts(session, [bytes.fromhex(each) for each in sorted(digests)])
    texts = {digest.hex(): text for digest, text in kept.items()}
    named = {entry.event.processing for entry in entries if entry.event.processing is not None}
    for record in (await load_processings(session, sorted(named))).values():
        versions = record.versions
        texts |= {each: text for each in digests for version in versions for text in version.notices(each)}
    return texts


async def _beside(session: ReadSession, vault: Vault, ref: bytes | None) -> dict[str, Any]:
    """Return what is kept besides the ledger; `shared_since`: since when this is a mailbox of several people."""
    if ref is None:
        return {name: [] for name in ("names", "consent_links", *_BESIDE)}
    links = await links_of(session, ref)
    names = await names_of_callers(session, {each["created_by"] for each in links})
    members: dict[str, Any] = {
        "consent_links": [_row({**each, "created_by": names[each["created_by"]]}) for each in links]
    }
    for name, kept in _BESIDE.items():
        members[name] = [_row(each) for each in await kept(session, ref)]
    members["names"] = [
        _row({"type": each.type, "id": vault.open(each.sealed), "since": each.kept_at, "basis": each.basis})
        for each in await names_of(session, ref)
    ]
    since = await shared_since(session, ref)
    return members if since is None else {**members, "shared_since": instant(since)}


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row as JSON has it, without what is not known."""
    return {name: _plain(value) for name, value in row.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, UUID | date) else value
