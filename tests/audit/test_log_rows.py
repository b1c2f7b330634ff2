"""Rows of the decision log as bytes: PostgreSQL reads from them what was put in."""

from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from app.audit.decision_log import COLUMNS, HEADER, TRAILER, DecisionBasis, facts_of, row
from app.audit.store import decision_log
from app.core.article import Article, Channel, Element
from app.core.decision import Decision, DecisionRequest, Reason

AT = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
CONSENT = UUID("0199d7a4-1c11-7c3f-9a51-6a0f6a4b1c2d")
PERMIT = Decision(True, Reason.CONSENT_IN_FORCE, Article.IV, "2025-07-02", "19", CONSENT, AT, AT)
NOTHING_KNOWN = DecisionBasis(
    *(True, False, None, 0, 0, None, 0, None, None), policy="P1Y/start_of_day", rules="rules", build="0.1.0"
)
MUCH_KNOWN = DecisionBasis(
    *(False, True, 3, 4, 2, "local_parties", 70_000, 2, b"sealed"),
    policy="P6M/same_instant",
    rules="rules",
    build="0.1.0",
)
DENY = Decision(False, Reason.UNKNOWN_PROCESSING, None, None, "1")


@pytest.mark.parametrize(
    ("request_", "decision", "elements", "processing"),
    [
        (DecisionRequest(b"s" * 32, "ads", frozenset({Element.SUBJECT_LINE, Element.CONTENT})), PERMIT, True, "ads"),
        (DecisionRequest(b"s" * 32, "ads", None, channel=Channel.ONLINE, territory="NC"), DENY, None, "ads"),
        (DecisionRequest(b"\0" * 32, "ads", frozenset()), DENY, [], "ads"),
        (DecisionRequest(b"\xff" * 32, "someone@example.org", None), DENY, None, "(no id)"),
    ],
)
@pytest.mark.parametrize("basis", [NOTHING_KNOWN, MUCH_KNOWN], ids=["little", "much"])
def test_postgresql_reads_what_was_encoded(  # noqa: PLR0917 - a row's parts
    database, request_, decision, elements, processing, basis
):
    """A row by binary COPY holds, column by column, the question and the decision that it was made of."""
    caller, identifier = UUID(int=7), UUID(int=2**127 + 5)
    encoded = row(
        identifier.bytes, AT.timestamp(), caller, request_.subject, b"c" * 32, facts_of(request_, decision, basis)
    )
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("CREATE TEMPORARY TABLE rows (LIKE decision_log)")
        with connection.cursor().copy(f"COPY rows ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(HEADER + encoded + encoded + TRAILER)
        found = connection.execute(f"SELECT {', '.join(COLUMNS)} FROM rows").fetchall()
    assert found[0] == found[1]
    assert len(found) == 2
    read = dict(zip(COLUMNS, found[0], strict=True))
    assert abs((read["at"] - AT).total_seconds()) < 0.00001  # an epoch time is a binary fraction
    assert (read["id"], read["caller"], read["subject_ref"]) == (identifier, caller, request_.subject)
    assert read["correspondence_ref"] == b"c" * 32
    assert read["elements"] == (sorted(request_.elements) if elements is True else elements)
    assert (read["processing"], read["channel"], read["territory"]) == (processing, "online", request_.territory)
    assert (read["permitted"], read["reason"], read["rule"]) == (decision.permitted, decision.reason, decision.rule)
    assert (read["law_version"], read["consent"]) == (decision.law_version, decision.consent)
    assert read["valid_until"] == decision.valid_until
    assert {name: read[name] for name in asdict(basis)} == asdict(basis)


def test_every_column_of_the_table_is_encoded():
    """The log's columns and those of an encoded row are the same ones."""
    assert sorted(COLUMNS) == sorted(column.name for column in decision_log.columns)
