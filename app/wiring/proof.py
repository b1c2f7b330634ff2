"""Makes from settings: how the log is kept that an outsider can check."""

from urllib.parse import urlsplit

from app.operations.proof.append_entries import ProofPlan
from app.proof.heads import KeptHeads
from app.settings import Settings
from app.settings.required import durability


def origin_of(settings: Settings) -> str:
    """The name of the log: the public address without its scheme, and `/ledger`."""
    address = urlsplit(str(settings.public_url))
    return f"{address.netloc}{address.path.rstrip('/')}/ledger"


def proof_plan_of(settings: Settings) -> ProofPlan:
    """How this deployment keeps its log, and which of its settings decide.

    Raises:
        SettingsError: one that decides is not set.

    """
    stated = {
        "consent_validity": str(settings.consent_validity),
        "period_counting": str(settings.period_counting),
        "subject_ids": str(settings.subject_ids),
        "lease_ms": int(settings.lease.total_seconds() * 1000),
        "durability": str(durability(settings)),
        "decision_log": str(settings.decision_log),
        "decision_log_exempt_share": str(settings.decision_log_exempt_share),
    }
    return ProofPlan(origin_of(settings), KeptHeads(settings.proof_directory), stated)
