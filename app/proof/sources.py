"""Which rows become entries, and which of their columns decide or prove: an entry commits to these and to no others.

The columns of a kind never change: a body is made anew from the row for each request, and must come out as it was.
A column that is added later goes into a new kind, or stands in `tests/proof/test_sources.py` as left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID


@dataclass(frozen=True, slots=True)
class EntrySource:
    """One kind of row.

    `tables` is what follows FROM. `id` and `at` are SQL of the entry's id and time; `key` is the column of type uuid by
    which rows are found, if there is one: as text it is the id. `facts`: members of the body, each a column or SQL.
    `subjects`: the columns that hold pseudonyms. `kind`: SQL of the entry's kind, where a row has one itself.
    """

    tables: str
    id: str
    at: str
    facts: Sequence[str] | Mapping[str, str]
    key: str = ""
    subjects: tuple[str, ...] = ()
    kind: str = "NULL"

    def takes(self, identifier: str) -> bool:
        """Return whether an id can be that of such a row."""
        if not self.key:
            return True
        try:
            return str(UUID(identifier)) == identifier
        except ValueError:
            return False

    def members(self) -> dict[str, str]:
        """Return the SQL of every member of a row, by name."""
        facts = dict(self.facts) if isinstance(self.facts, Mapping) else {name: name for name in self.facts}
        subjects = {name: name for name in self.subjects}
        return {**facts, **subjects, "entry_id": self.id, "entry_at": self.at, "entry_kind": self.kind}


_VERSION: Final = (
    "processing",
    "number",
    "effective_from",
    "provider_kind",
    "service",
    "elements",
    "automated",
    "party_mode",
    "started_on",
    "consent_validity",
    "material",
    "name",
    "notice",
    "data_recipients",
    "retention",
    "data_protection_contact",
    "age_statement_required",
    "recorded_at",
    "recorded_by",
    "controllers",
    "particulars",
    "reason",
)

SOURCES: Final[Mapping[str, EntrySource]] = {
    "consent_event": EntrySource(
        "consent_event",
        "id::text",
        "recorded_at",
        (
            "seq",
            "id",
            "kind",
            "processing",
            "version",
            "elements",
            "collected_at",
            "recorded_at",
            "stated_at",
            "imported",
            "expires_at",
            "counting",
            "evidence",
            "capacity",
            "text_known",
            "territory",
            "recorded_by",
        ),
        key="id",
        subjects=("subject_ref",),
    ),
    "register_version": EntrySource(
        "processing_version AS each JOIN processing AS entry ON entry.id = each.processing",
        "each.processing || '/' || each.number",
        "each.recorded_at",
        {name: f"each.{name}" for name in _VERSION}
        | {name: f"entry.{name}" for name in ("purpose", "controller", "registered_at")},
    ),
    "status_change": EntrySource(
        "processing_status_change",
        "processing || '/' || extract(epoch FROM at)",
        "at",
        ("processing", "at", "status", "recorded_by", "awaiting_approval"),
    ),
    "invalidation": EntrySource(
        "processing_invalidation",
        "processing || '/' || number",
        "at",
        (
            "processing",
            "number",
            "version",
            "text_sha256",
            "reason",
            "recorded_at",
            "recorded_by",
            "at",
        ),
    ),
    "controller_version": EntrySource(
        "controller_version AS each JOIN controller AS party ON party.id = each.controller",
        "each.controller || '/' || each.number",
        "each.recorded_at",
        {
            name: f"each.{name}"
            for name in (
                "controller",
                "number",
                "legal_name",
                "postal_address",
                "contact",
                "data_protection_officer",
                "country",
                "recorded_at",
                "recorded_by",
            )
        }
        | {name: f"party.{name}" for name in ("kind", "identifier")},
    ),
    "presented_text": EntrySource("presented_text", "encode(sha256, 'hex')", "kept_at", ("sha256", "text", "kept_at")),
    "staff_notice": EntrySource(
        "staff_notice", "number::text", "published_at", ("number", "published_at", "published_by", "title", "body")
    ),
    "staff_acknowledgement": EntrySource(
        "staff_acknowledgement",
        "id::text",
        "recorded_at",
        (
            "id",
            "member",
            "notice",
            "language",
            "text_sha256",
            "way",
            "acknowledged_at",
            "recorded_at",
            "recorded_by",
        ),
        key="id",
    ),
    "administrative_act": EntrySource(
        "administrative_act",
        "id::text",
        "at",
        ("id", "at", "act", "way", "caller", "request_id", "thing", "thing_id", "detail"),
        key="id",
        subjects=("subject_ref",),
    ),
    # What is asked of two persons.
    "gate_proposal": EntrySource(
        "gate_proposal",
        "id::text",
        "proposed_at",
        ("id", "kind", "target", "wanted", "proposed_at", "proposed_by"),
        key="id",
    ),
    "gate_ruling": EntrySource(
        "gate_ruling",
        "proposal::text",
        "at",
        ("proposal", "approved", "reason", "at", "ruled_by"),
        key="proposal",
    ),
    "restore": EntrySource(
        "deployment_epoch",
        "number::text",
        "began_at",
        ("number", "began_at", "replayed", "by_hand", "lost", "accepted_by"),
    ),
    "statement": EntrySource("proof_statement", "id::text", "at", ("id", "at", "body"), key="id", kind="kind"),
    # By its hash: the bundle has the content in a file of its own.
    "anchor": EntrySource(
        "proof_anchor",
        "id::text",
        "kept_at",
        {
            **{name: name for name in ("id", "size", "way", "witness", "told_at", "kept_at")},
            "sha256": "encode(sha256(content), 'hex')",
        },
        key="id",
    ),
}
"""The sources, by the kind under which triggers queue their rows."""


def by_id(source: EntrySource) -> str:
    """Return SQL for the rows of some ids (`:ids`, texts), as JSON."""
    ids = f"CAST(CAST(:ids AS text[]) AS {'uuid' if source.key else 'text'}[])"
    return f"SELECT {_json(source)} FROM {source.tables} WHERE {source.key or source.id} = ANY ({ids})"  # noqa: S608 - constants


def without_entry(kind: str, source: EntrySource) -> str:
    """Return SQL for the ids of rows that neither the queue has nor the log, in an entry that can still be opened."""
    return f"""
        SELECT present.id FROM (
            SELECT {source.id} AS id, coalesce({source.kind}, '{kind}') AS kind FROM {source.tables}
        ) AS present
        WHERE NOT EXISTS (SELECT FROM proof_entry AS entry JOIN proof_opening USING (position)
            WHERE entry.kind = '{kind}' AND entry.id = present.id AND {is_named("present.kind", "present.id")}
            AND entry.position BETWEEN 0 AND :size - 1)
        AND NOT EXISTS (SELECT FROM proof_queue AS queued WHERE queued.kind = '{kind}' AND queued.id = present.id)
        ORDER BY present.id
    """  # noqa: S608 - constants


def is_named(kind: str, identifier: str) -> str:
    """Return SQL: whether the octets of `entry` have this kind and id, which stand side by side in canonical JSON.

    The columns `kind` and `id` of an entry only find it: the log's hashes do not cover them.
    """
    name = f"""'"id":' || CAST(to_json({identifier}) AS text) || ',"kind":"' || {kind} || '"'"""
    return f"position(convert_to({name}, 'UTF8') IN entry.entry) > 0"


def _json(source: EntrySource) -> str:
    members = ", ".join(f"'{name}', {sql}" for name, sql in source.members().items())
    return f"jsonb_build_object({members})"
