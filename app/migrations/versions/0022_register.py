"""Controllers as records of their own, what GDPR 30 asks of a version, and versions that wait for a second person.

Tables are new, columns are nullable or have a constant default: no row is rewritten, and code of before reads and
writes versions as it did. Each controller that a processing names so far gets a record of kind `other` under the id
that `app.core.register.controllers.id_of_name` gives its name; versions without `controllers` are read as naming that one.
What waits for approval stands in a table of its own, so that code of before never takes it for a version in force;
a new processing that waits is `suspended` to it.

Going back gives each processing the legal name that its first controller has by then, and forgets what was proposed:
a new processing that waits stays suspended, a version that waits is gone. The lock is held against writers of the
register alone, which has tens of rows.

Revision: 0022, after 0021.
"""

import re
import unicodedata
from hashlib import sha256

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

APPEND_ONLY = ("controller", "controller_version", "processing_proposal", "processing_ruling")
PROVIDERS = "provider_kind IN ('operator', 'online_service')"
MODES = "party_mode IN ('user_only', 'all_local_users', 'all_parties')"
ELEMENTS = "elements <@ ARRAY['content', 'correspondent_identity', 'subject_line', 'attachments']::text[]"
FIRST = (
    "INSERT INTO controller (id, kind, identifier, registered_at, registered_by) "
    "VALUES (:id, 'other', NULL, :at, NULL) ON CONFLICT DO NOTHING"
)
FIRST_VERSION = (
    "INSERT INTO controller_version (controller, number, legal_name, recorded_at, recorded_by) "
    "VALUES (:id, 1, :name, :at, NULL) ON CONFLICT DO NOTHING"
)
NAMES_OF_TODAY = """
UPDATE processing SET controller = named.legal_name
FROM (
    SELECT DISTINCT ON (processing_version.processing) processing_version.processing, controller_version.legal_name
    FROM processing_version JOIN controller_version ON controller_version.controller = processing_version.controllers[1]
    ORDER BY processing_version.processing, processing_version.number DESC, controller_version.number DESC
) AS named
WHERE named.processing = processing.id AND named.legal_name <> processing.controller
"""


def upgrade() -> None:
    """Make the tables and columns, and a record for each controller that is named so far."""
    _controllers()
    op.add_column("processing_version", sa.Column("controllers", sa.ARRAY(sa.Text()), nullable=True))
    op.add_column("processing_version", sa.Column("particulars", postgresql.JSONB(), nullable=True))
    op.add_column("processing_version", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column(
        "processing_status_change",
        sa.Column("awaiting_approval", sa.Boolean(), nullable=False, server_default=sa.text("false")),
    )
    _proposals()
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION sceau_refuse_change()"
        )
    _carry_names()


def downgrade() -> None:
    """Give processings the names of today back, and drop what was made."""
    op.execute("ALTER TABLE processing DISABLE TRIGGER append_only")
    op.execute(NAMES_OF_TODAY)
    op.execute("ALTER TABLE processing ENABLE TRIGGER append_only")
    for table in ("processing_ruling", "processing_proposal", "controller_version", "controller"):
        op.drop_table(table)
    op.drop_column("processing_status_change", "awaiting_approval")
    for column in ("reason", "particulars", "controllers"):
        op.drop_column("processing_version", column)


def _carry_names() -> None:
    connection = op.get_bind()
    named = connection.execute(
        sa.text("SELECT controller, min(registered_at) AS at FROM processing GROUP BY controller")
    ).all()
    for row in named:
        told = {"id": _id_of(row.controller), "name": row.controller, "at": row.at}
        connection.execute(sa.text(FIRST), told)
        connection.execute(sa.text(FIRST_VERSION), told)


def _id_of(name: str) -> str:
    """What `id_of_name` gave when this was written; a test holds the two together."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    readable = "-".join(re.findall(r"[a-z0-9]+", plain))[:60].strip("-") or "controller"
    return f"{readable}-{sha256(unicodedata.normalize('NFC', name).encode()).hexdigest()[:12]}"


def _controllers() -> None:
    op.create_table(
        "controller",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("registered_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("kind = 'other' OR identifier IS NOT NULL", name=op.f("ck_controller_identified")),
        sa.CheckConstraint("kind IN ('siren', 'lei', 'other')", name=op.f("ck_controller_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_controller")),
        sa.UniqueConstraint("kind", "identifier", name=op.f("uq_controller_kind_identifier")),
    )
    op.create_table(
        "controller_version",
        sa.Column("controller", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("legal_name", sa.Text(), nullable=False),
        sa.Column("postal_address", sa.Text(), nullable=True),
        sa.Column("contact", sa.Text(), nullable=True),
        sa.Column("data_protection_officer", sa.Text(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_controller_version_number")),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name=op.f("ck_controller_version_country")),
        sa.ForeignKeyConstraint(
            ["controller"],
            ["controller.id"],
            name=op.f("fk_controller_version_controller_controller"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("controller", "number", name=op.f("pk_controller_version")),
    )


def _proposals() -> None:
    op.create_table(
        "processing_proposal",
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provider_kind", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("elements", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("automated", sa.Boolean(), nullable=False),
        sa.Column("party_mode", sa.Text(), nullable=False),
        sa.Column("started_on", sa.Date(), nullable=False),
        sa.Column("consent_validity", sa.Text(), nullable=False),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column("name", postgresql.JSONB(), nullable=False),
        sa.Column("notice", postgresql.JSONB(), nullable=False),
        sa.Column("data_recipients", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("retention", sa.Text(), nullable=False),
        sa.Column("data_protection_contact", sa.Text(), nullable=True),
        sa.Column("age_statement_required", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("controllers", sa.ARRAY(sa.Text()), nullable=True),
        sa.Column("particulars", postgresql.JSONB(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("number >= 1", name=op.f("ck_processing_proposal_number")),
        sa.CheckConstraint("cardinality(elements) >= 1", name=op.f("ck_processing_proposal_some_element")),
        sa.CheckConstraint(ELEMENTS, name=op.f("ck_processing_proposal_known_elements")),
        sa.CheckConstraint(PROVIDERS, name=op.f("ck_processing_proposal_provider_kind")),
        sa.CheckConstraint(MODES, name=op.f("ck_processing_proposal_party_mode")),
        sa.ForeignKeyConstraint(
            ["processing"],
            ["processing.id"],
            name=op.f("fk_processing_proposal_processing_processing"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("processing", "number", name=op.f("pk_processing_proposal")),
    )
    op.create_table(
        "processing_ruling",
        sa.Column("processing", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("approved", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ruled_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["processing", "number"],
            ["processing_proposal.processing", "processing_proposal.number"],
            name=op.f("fk_processing_ruling_processing_number_processing_proposal"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("processing", "number", name=op.f("pk_processing_ruling")),
    )
