"""A replay as a bundle tells it."""

from datetime import datetime
from typing import Any

from app.db.session import ReadSession
from app.ledger.vault import Vault
from app.operations.proof.compare_batches import compare_batches
from app.operations.proof.replay_decisions import replay_decisions


async def replay_report(session: ReadSession, vault: Vault, since: datetime, until: datetime) -> dict[str, Any]:
    """Decide everything of a period again, compare the log with its batches, and say what came of it, as JSON has it.

    Args:
        session: where to read.
        vault: opens who was looked at besides the subjects.
        since: the first instant.
        until: the first instant that is not meant any more.

    """
    report = await replay_decisions(session, vault, since, until)
    batches = await compare_batches(session, since, until)
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "decisions": report.decisions,
        "reproduced": report.reproduced,
        "different": len(report.different),
        "different_ids": [str(each.id) for each in report.different],
        "not_reproducible": dict(report.left),
        "batches_that_agree": batches.same,
        "altered": len(batches.altered),
        "not_logged": batches.dropped,
    }
