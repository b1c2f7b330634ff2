"""`sceau keys signing`: the deployment's own signing keys, as an operator at the machine lists and rotates them."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, confirmed, connected, deployment_here
from app.cli.output import JsonOption, echo_json
from app.cli.words import group

if TYPE_CHECKING:
    from app.db.database import Database
    from app.keyring import KeyRing, WrappedKey

signing_keys = group("List and rotate the keys that sign tokens, webhooks, the log and receipts.")


class Signed(StrEnum):
    """What a key signs."""

    DECISION_TOKENS = "decision-tokens"
    LOG = "log"
    RECEIPTS = "receipts"
    WEBHOOKS = "webhooks"

    @property
    def ring(self) -> "KeyRing":
        """The keys."""
        from app.keyring import DECISION_KEYS, PROOF_KEYS, RECEIPT_KEYS, WEBHOOK_KEYS

        rings = zip(Signed, (DECISION_KEYS, PROOF_KEYS, RECEIPT_KEYS, WEBHOOK_KEYS), strict=True)
        return dict(rings)[self]


What = Annotated[Signed, typer.Argument(help="What the keys sign.")]


@signing_keys.command("list")
def signing_keys_list(what: What, as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """List the keys that are in force, the newest first; never their private halves."""
    from app.keyring import keys_in_force

    async def listed(database: "Database") -> "list[WrappedKey]":
        async with database.read() as session:
            return await keys_in_force(session, what.ring, await session.instant())

    keys = connected(data, listed)
    if as_json:
        echo_json([{"id": key.id, "created_at": key.created_at, "retires_at": key.retires_at} for key in keys])
        return
    for key in keys:
        ends = f"until {_iso(key.retires_at)}" if key.retires_at is not None else "the newest"
        typer.echo(f"{key.id}  made {_iso(key.created_at)}  {ends}")


@signing_keys.command("rotate")
def signing_keys_rotate(
    what: What,
    at_once: Annotated[bool, typer.Option("--at-once", help="Those before leaked: they end now.")] = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Make a new key. Those before it overlap with it, so that verifiers miss nothing."""
    from app.auth.callers import KEY_OVERLAP
    from app.operations.decisions.tokens import OVERLAP
    from app.operations.proof.append_entries import state_rotation
    from app.operations.service.signing_keys import rotate_key

    # Signatures by keys of the log and of receipts are verified with these keys for good, so they need no overlap.
    overlap = {Signed.DECISION_TOKENS: OVERLAP, Signed.WEBHOOKS: KEY_OVERLAP}.get(what, timedelta(0))

    async def rotate(database: "Database") -> "WrappedKey":
        deployment = deployment_here()
        async with confirmed(database) if at_once else database.write() as session:
            made = await rotate_key(session, deployment, what.ring, overlap, by=None, at_once=at_once)
            if what is Signed.LOG and not at_once:
                await state_rotation(session, deployment)
            return made

    typer.echo(f"{connected(data, rotate).id} is the newest key of {what.value}.")


def _iso(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
