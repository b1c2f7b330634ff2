"""Makes from settings: how the log is kept that an outsider can check."""

from app.operations.proof.append_entries import ProofPlan
from app.proof.heads import KeptHeads
from app.proof.notes import log_name
from app.settings import Settings
from app.settings.required import durability


def origin_of(settings: Settings) -> str:
    """The name of the log, where it has none yet."""
    return log_name(str(settings.public_url))


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
