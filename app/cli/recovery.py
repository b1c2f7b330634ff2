"""`sceau recovery`: moving a deployment to another database, and dealing with a database that was restored."""

from app.cli.restores import accept_restore, replay_journal, restore_check
from app.cli.transfer import export, restore
from app.cli.words import group

recovery = group("Export and restore a deployment; deal with a restored database.")
recovery.command()(export)
recovery.command()(restore)
recovery.command("check")(restore_check)
recovery.command("replay")(replay_journal)
recovery.command("accept")(accept_restore)
