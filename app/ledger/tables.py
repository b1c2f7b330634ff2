"""The ledger's tables: subjects and their vault, the append-only consent events, their projection, and flags.

`subject_ref` leads every primary key, so that the tables can be distributed by it. The one-year rule of L32-3 IV is a
CHECK on Paris civil time: the database refuses a longer expiry, whichever code sends it.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from app.core.article import FRANCE, TIME_ZONES
from app.core.consent import EventKind
from app.core.names import NameBasis
from app.core.renewal import MOST_ASKED, FlagKind
from app.db.schema import Instant, metadata, one_of

subject = Table(
    "subject",
    metadata,
    Column("subject_ref", LargeBinary, primary_key=True),
    Column("created_at", Instant, nullable=False),
    # A shared mailbox: it has no consents, and is given none (app.core.names).
    Column("shared", Boolean, nullable=False, server_default=text("false")),
    CheckConstraint("octet_length(subject_ref) = 32", name="ref_length"),
)

subject_locator = Table(
    "subject_locator",
    metadata,
    Column("locator", LargeBinary, nullable=False),
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    # The name of the person that it is for, as in the vault; each name has one row for each key.
    Column("name", Uuid, nullable=False),
    # How the id was normalised, and by which key it was hashed (app.ledger.identifiers, `makers`).
    Column("made_by", Text, nullable=False),
    Column("began_at", Instant, nullable=False),
    # When the account was closed, with all of its rows; the next account of the same id has another row.
    Column("ended_at", Instant),
    PrimaryKeyConstraint("locator", "subject_ref"),
    CheckConstraint("octet_length(locator) = 32", name="locator_length"),
    Index("uq_subject_locator_live", "locator", unique=True, postgresql_where=text("ended_at IS NULL")),
    Index("ix_subject_locator_subject_ref", "subject_ref"),
    Index("ix_subject_locator_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
)

subject_vault = Table(
    "subject_vault",
    metadata,
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    Column("name", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    # The locator to which the id is bound by its encryption: it is deleted with the row.
    Column("sealed_for", LargeBinary, nullable=False),
    Column("master_key_id", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("sealed_id", LargeBinary, nullable=False),
    # When the account began with this name, or the name was stated to be this person's: how that is known, and by whom.
    Column("stored_at", Instant, nullable=False),
    Column("basis", Text),
    Column("stated_by", Uuid),
    PrimaryKeyConstraint("subject_ref", "name"),
    one_of("basis", NameBasis),
    CheckConstraint("(basis IS NULL) = (stated_by IS NULL)", name="stated"),
)

_PARIS = "AT TIME ZONE 'Europe/Paris'"

DOUBTFUL = (
    "kind = 'granted' AND (evidence->>'default_state' = 'selected' OR evidence->>'positive_act' = 'none'"
    " OR evidence->>'separate_from_terms' = 'false' OR evidence->>'conditional' = 'true' OR text_known IS FALSE"
    " OR capacity->>'given_by' IN ('holder_of_parental_responsibility', 'administrator'))"
    " OR capacity->>'age_band' = 'under_15' OR territory IS NOT NULL"
)
"""Events that may make a consent invalid or end early, itself or another one of the person (app.core.consent); few."""

consent_event = Table(
    "consent_event",
    metadata,
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT")),
    Column("version", Integer),
    Column("elements", ARRAY(Text)),
    Column("collected_at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("stated_at", Instant),
    Column("imported", Boolean, nullable=False),
    Column("expires_at", Instant),
    Column("counting", Text),
    Column("evidence", JSONB(none_as_null=True)),
    Column("capacity", JSONB(none_as_null=True)),
    Column("text_known", Boolean),
    # Where it was collected, if not in metropolitan France (FR).
    Column("territory", Text),
    Column("recorded_by", Uuid, nullable=False),
    PrimaryKeyConstraint("subject_ref", "seq"),
    one_of("kind", EventKind),
    CheckConstraint("collected_at <= recorded_at", name="past"),
    CheckConstraint("(kind = 'granted') = (expires_at IS NOT NULL)", name="grant_expires"),
    CheckConstraint(
        "kind NOT IN ('granted', 'refused') OR (processing IS NOT NULL AND version IS NOT NULL"
        " AND evidence IS NOT NULL AND text_known IS NOT NULL)",
        name="decision_complete",
    ),
    CheckConstraint("elements IS NULL OR cardinality(elements) >= 1", name="some_element"),
    one_of("territory", [code for code in TIME_ZONES if code != FRANCE]),
    CheckConstraint("kind <> 'age_stated' OR capacity->>'age_band' IS NOT NULL", name="age_stated"),
    CheckConstraint(
        f"expires_at IS NULL OR (expires_at > collected_at"
        f" AND (expires_at {_PARIS}) <= (collected_at {_PARIS}) + interval '1 year')",
        name="one_year",
    ),
    Index("ix_consent_event_id", "id"),
    Index("ix_consent_event_doubtful", "subject_ref", postgresql_where=text(DOUBTFUL)),
    # Only events that a parent gave, which are few.
    Index(
        "ix_consent_event_parent",
        text("(capacity->>'parent_ref')"),
        postgresql_where=text("capacity->>'parent_ref' IS NOT NULL"),
    ),
)

consent = Table(
    "consent",
    metadata,
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    Column("id", Uuid, nullable=False),
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("decision", Text, nullable=False),
    Column("collected_at", Instant, nullable=False),
    Column("expires_at", Instant),
    # An instant no later than any from which its year is counted, set where that may be before `collected_at`: the
    # first act of a joint consent, or a territory in which it was still the day before. Null means `collected_at`.
    Column("counted_from", Instant),
    Column("ended_by", Text),
    Column("ended_at", Instant),
    # How far the sweep has come with this consent: days of the last notice, 366 for none (app.core.renewal). It only
    # makes due consents quick to find; what was flagged is in renewal_flag, and a rebuild leaves it as it is.
    Column("renewal_stage", SmallInteger, nullable=False, server_default=text("366")),
    PrimaryKeyConstraint("subject_ref", "id"),
    CheckConstraint("decision IN ('granted', 'refused')", name="decision"),
    CheckConstraint("(decision = 'granted') = (expires_at IS NOT NULL)", name="grant_expires"),
    CheckConstraint("(ended_by IS NULL) = (ended_at IS NULL)", name="ended"),
    Index("ix_consent_id", "id"),
    Index("ix_consent_processing_id", "processing", "id"),
)
Index(
    "ix_consent_due",
    consent.c.processing,
    consent.c.version,
    consent.c.renewal_stage,
    func.coalesce(consent.c.counted_from, consent.c.collected_at),
    consent.c.id,
    postgresql_where=(consent.c.decision == "granted") & consent.c.ended_by.is_(None) & (consent.c.renewal_stage > 0),
)

# When a person was asked for a processing in a half-year, by any caller (app.core.renewal).
solicitation = Table(
    "solicitation",
    metadata,
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    # The first day of the half-year, in Paris.
    Column("half_year", Date, nullable=False),
    Column("asked_at", ARRAY(Instant), nullable=False),
    # The evidence that one of these was the person's own request; null where none was.
    Column("person_request", Text),
    PrimaryKeyConstraint("subject_ref", "processing", "half_year"),
    CheckConstraint(f"cardinality(asked_at) BETWEEN 1 AND {MOST_ASKED}", name="most_asked"),
)

renewal_flag = Table(
    "renewal_flag",
    metadata,
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    Column("processing", Text, ForeignKey("processing.id", ondelete="RESTRICT"), nullable=False),
    Column("consent", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("notice", SmallInteger, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("flagged_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    PrimaryKeyConstraint("subject_ref", "processing", "consent", "kind", "notice"),
    one_of("kind", FlagKind),
    CheckConstraint("(kind = 'due') = (notice > 0) AND notice >= 0 AND notice <= 365", name="notice"),
    Index("ix_renewal_flag_processing_kind_id", "processing", "kind", "id"),
)

key_check = Table(
    "key_check",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
KEYS_STATED: Final = "pseudonym "
"""The prefix of the names under which pseudonym keys are stated to be in use, each time with another number."""
KEYS_IN_USE: Final = f"""
SELECT value FROM key_check WHERE name ^@ '{KEYS_STATED}' ORDER BY length(name) DESC, name DESC LIMIT 1"""  # noqa: S608 - a constant
"""Selects what identifies the keys stated last (`Pseudonyms.makers`), separated by commas, the first key first."""
