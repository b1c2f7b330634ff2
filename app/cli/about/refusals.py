"""What a command says when it refuses: one line, for every error that is foreseen."""

import typer


def usage(error: typer.TyperException) -> str | None:
    """The line that wrong usage ends with, and which help tells more; None where the help was printed already."""
    said = " ".join(error.format_message().replace("Value error, ", "").split())
    if not said or "Usage:" in said:
        return None
    path = getattr(getattr(error, "ctx", None), "command_path", "sceau")
    return f"{said[:1].lower()}{said[1:].rstrip('.')} ({path} --help)"


def refusal(error: Exception) -> str | None:
    """The line that a refusal ends with; None for an unforeseen error."""
    from app.cli.data_directory import DataDirectoryInUseError
    from app.cli.files import RegisterFileError, UnwritableFileError
    from app.cli.remote.service import ServiceRefusedError
    from app.core.errors import DomainError
    from app.db.database import DatabaseUnavailableError, RestoredBehindError
    from app.db.embedded import EmbeddedServerError
    from app.db.owner_limits import OwnerLimitsRefusedError
    from app.db.refusals import DatabaseRefusedError
    from app.db.revisions import MigrationRefusedError
    from app.db.transfer import RestoreRefusedError
    from app.journal.files import JournalError
    from app.ledger.vault import VaultError
    from app.operations.proof.append_entries import LogRefusedError
    from app.operations.proof.bundle import NoLogError
    from app.operations.service.check_deployment import DeploymentRefusedError
    from app.proof.notes import HeadsUnreadableError
    from app.serving import PortTakenError
    from app.settings.environment import SettingsError
    from app.telemetry.room import NoRoomError

    if isinstance(error, RestoredBehindError):
        return "the database was set back, and nothing that needs consent is answered from it: see sceau restore-check"
    if isinstance(error, DatabaseUnavailableError):
        return "the database cannot be reached: check SCEAU_DATABASE_URL and that it runs"
    if isinstance(error, VaultError):
        return "what the database keeps sealed does not open: check that SCEAU_MASTER_KEY is this deployment's"
    refusals = (
        DataDirectoryInUseError,
        DatabaseRefusedError,
        DeploymentRefusedError,
        DomainError,
        EmbeddedServerError,
        HeadsUnreadableError,
        JournalError,
        LogRefusedError,
        MigrationRefusedError,
        NoLogError,
        NoRoomError,
        OwnerLimitsRefusedError,
        PortTakenError,
        RegisterFileError,
        RestoreRefusedError,
        ServiceRefusedError,
        SettingsError,
        UnwritableFileError,
    )
    return str(error) if isinstance(error, refusals) else None
