"""Rows of an older system, as an import takes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.consents import SIGNED, notice_of, own_form, proof, written

LONG_AGO = datetime.now(UTC) - timedelta(days=100)
UNTIL = written(datetime.now(UTC) - timedelta(days=1))
"""When the older system stopped deciding."""


def row(
    number: object,
    name: str,
    decision: str = "granted",
    *,
    at: datetime = LONG_AGO,
    processing: str = "ads",
    **more: Any,
) -> dict[str, Any]:
    """A row of an older system: of a grant, a form signed on paper."""
    signed = own_form(proof(notice_of(processing), SIGNED), name)
    evidence = {"evidence": signed} if decision == "granted" else {}
    who = {"source_id": f"{name}-{number}", "subject": {"type": "user", "id": name}}
    return {**who, "decision": decision, "at": written(at), "processing": processing, **evidence, **more}


def imported(api: Any, *rows: Any, name: str = "crm", **more: Any) -> Any:
    """What an import answers."""
    return api.ok("POST", "/v1/imports", {"import": name, "rows": list(rows), "until": UNTIL, **more})
