"""The tables of the consent page: links (their tokens only as hashes), the forms sent through them, and texts shown.

No identifier: a link knows its subject by pseudonym. A form's row is what makes a submission count once.
"""

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
)

from app.core.consent import AgeBand
from app.core.page.link import Authentication, LinkKind
from app.db.schema import metadata

Instant = DateTime(timezone=True)


def _one_of(column: str, words: type[LinkKind | Authentication | AgeBand]) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


consent_link = Table(
    "consent_link",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    # The name of the person that it was made for: it goes when the name is another's.
    Column("name", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("processings", ARRAY(Text), nullable=False),
    Column("authentication", Text, nullable=False),
    Column("by_person", Boolean, nullable=False),
    Column("age_band", Text),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ledger_order", Integer, nullable=False),
    # What its maker was known by.
    Column("credential", Uuid, nullable=False),
    # Where the page lets people go back to after an answer, of an origin that was listed when the link was made.
    Column("return_to", Text),
    # Of a joint link: whose of the two acts it records.
    Column("given_by", Text),
    Column("territory", Text, nullable=False),
    CheckConstraint("octet_length(token_sha256) = 32", name="token_length"),
    CheckConstraint("(cardinality(processings) = 0) = (kind = 'overview')", name="some_processing"),
    CheckConstraint("expires_at > created_at", name="lasts"),
    CheckConstraint("given_by IN ('self', 'holder_of_parental_responsibility')", name="given_by"),
    CheckConstraint("(kind = 'joint') = (given_by IS NOT NULL)", name="joint_has_a_side"),
    _one_of("kind", LinkKind),
    _one_of("authentication", Authentication),
    _one_of("age_band", AgeBand),
    Index("ix_consent_link_expires_at", "expires_at"),
)

consent_form = Table(
    "consent_form",
    metadata,
    Column("token_sha256", LargeBinary, ForeignKey("consent_link.token_sha256", ondelete="CASCADE"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("sent_at", Instant, nullable=False),
    PrimaryKeyConstraint("token_sha256", "nonce"),
    CheckConstraint("octet_length(nonce) = 16", name="nonce_length"),
)

presented_text = Table(
    "presented_text",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("text", Text, nullable=False),
    Column("kept_at", Instant, nullable=False),
    CheckConstraint("sha256 = sha256(convert_to(text, 'UTF8'))", name="is_its_hash"),
)
