"""Commands about the log of proofs: anchors, appending, and watching it from outside."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.connecting import DataOption, connected, deployment_here, settings_here
from app.cli.output import UnwritableFileError, fail, given_text, open_to_read, written_whole

if TYPE_CHECKING:
    import httpx2

    from app.db.database import Database
    from app.proof.verifier.notes import Checkpoint, VerifierKey

_MOST: Final = 65_536
"""How many characters of a checkpoint are read at most."""


def proof_stamp(
    cosigned: Annotated[
        Path | None, typer.Option(help="A checkpoint of this log with cosignatures of witnesses, to be kept.")
    ] = None,
    witness: Annotated[
        list[str] | None, typer.Option(metavar="NAME+ID+KEY", help="The verifier key of a witness that is believed.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Enter what was recorded, sign the log's new head, and have it time-stamped where SCEAU_TSA_URL is set.

    The jobs process does that four times a minute, and stamps each hour. Exit 0 done, 1 refused or not stamped. What is
    cosigned is served with the checkpoint while that is the newest, and stands in bundles for good.
    """
    if cosigned is not None:
        _keep_cosigned(cosigned, witness or [], data)
        return
    entries = append_now(data)
    typer.echo("1 entry appended." if entries == 1 else f"{entries} entries appended.")
    typer.echo(_stamped(data))


def _stamped(data: Path | None) -> str:
    """Have the newest checkpoint time-stamped, and print the result."""
    from app.jobs.tasks import stamp_newest
    from app.jobs.work import Work
    from app.proof.anchors import AuthorityError
    from app.proof.authority import CAUSES
    from app.wiring.parts import time_authority_of

    async def stamp(database: "Database") -> str:
        authority = time_authority_of(settings_here())
        if authority is None:
            return "Not time-stamped: SCEAU_TSA_URL names no authority."
        stamped = await stamp_newest(Work(database, deployment_here(), authority=authority), at_once=True)
        return "The newest checkpoint is time-stamped." if stamped else "Every checkpoint is stamped already."

    try:
        return connected(data, stamp)
    except AuthorityError as error:
        typer.echo(f"proof stamp: not time-stamped: {CAUSES[str(error)]} ({error})", err=True)
        raise typer.Exit(1) from error


def _keep_cosigned(file: Path, witnesses: list[str], data: Path | None) -> None:
    from app.operations.proof.append_entries import CosignatureRefusedError, keep_cosignatures
    from app.proof.verifier.notes import COSIGNATURE, NoteError, VerifierKey

    content = f"{given_text(file)[:_MOST]}\n"
    try:
        keys = [VerifierKey.parse(each) for each in witnesses]
    except NoteError as error:
        raise typer.BadParameter(str(error), param_hint="--witness") from None
    # A cosignature does not sign the witness's name: one key under two names would count as two witnesses.
    is_witness = all(each.kind == COSIGNATURE for each in keys)
    if not keys or not is_witness or len({each.public for each in keys}) != len(keys):
        how = "name each witness once, by its verifier key, as c2sp.org/tlog-cosignature has it"
        raise typer.BadParameter(how, param_hint="--witness")

    async def keep(database: "Database") -> list[str]:
        async with database.write() as session:
            return await keep_cosignatures(session, content, keys)

    try:
        new = connected(data, keep)
    except CosignatureRefusedError as error:
        typer.echo(f"proof stamp: {file} is refused: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Kept: {', '.join(new)}." if new else "Its cosignatures were kept before.")


def append_now(data: Path | None) -> int:
    """Append everything that waits and sign the log's new head; return how many entries were made."""
    return connected(data, appended)


async def appended(database: "Database") -> int:
    """Like `append_now`, on an open database."""
    from app.jobs.tasks import append_all
    from app.jobs.work import Work
    from app.wiring.parts import proof_plan_of

    # This command may run with other settings than the service, which states its own in the log.
    plan = replace(proof_plan_of(settings_here()), settings=None)
    return await append_all(Work(database, deployment_here(), log=plan), waits=True)


_NOT_COMPARED = 2
"""The status if the log could not be read, which says nothing about what it holds."""
_SECONDS = 30


class WatchedLogError(Exception):
    """The log is not what it was: the message is one line that says what is wrong."""


def proof_watch(
    url: Annotated[str, typer.Argument(help="Where the service is, such as https://sceau.example.fr")],
    key: Annotated[list[str], typer.Option("--key", help="A verifier key of the log, known from elsewhere.")],
    kept: Annotated[Path, typer.Option(help="A file that the last head is kept in.")] = Path("checkpoint"),
) -> None:
    """Fetch a log's head, and check that it begins with the one that was kept.

    Exit 0: it does, or none was kept: this run keeps one, and compares nothing. 1: it does not. 2: the log could not be
    read.

    Run it now and then, on a machine that the log's operator cannot change. It prints the whole head of a log that was
    rewritten or forked: that head and the one that was kept prove it.
    """
    import httpx2

    if not url.startswith(("https://", "http://")):
        fail("the address begins with https:// (or with http://, for a service on this machine)", _NOT_COMPARED)
    keys = keys_given(key)
    try:
        before = _kept(kept, keys)
        with httpx2.Client(base_url=f"{url.rstrip('/')}/proof/v1/", timeout=_SECONDS) as client:
            outcome = _watched(client, keys, before, kept)
    except httpx2.HTTPStatusError as error:
        path, status = error.request.url.path, error.response.status_code
        fail(f"{path} was answered {status}: give the service's own address, without a path", _NOT_COMPARED)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        fail(f"no answer that can be used ({type(error).__name__})", _NOT_COMPARED)
    except (OSError, UnicodeDecodeError, UnwritableFileError) as error:
        fail(f"{kept} cannot be read or written: {error}", _NOT_COMPARED)
    except WatchedLogError as error:
        # A server's text: control characters, which a terminal would obey, are shown as escapes.
        shown = "".join(each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in str(error))
        typer.echo(f"watch: WRONG: {shown}")
        raise typer.Exit(1) from error
    typer.echo(outcome)


def keys_given(lines: list[str]) -> "list[VerifierKey]":
    """The keys of a log that were given with `--key`."""
    from app.proof.verifier.notes import NoteError, VerifierKey
    from app.proof.verifier.receipts import RECEIPTS

    try:
        keys = [VerifierKey.parse(each) for each in lines]
    except NoteError as error:
        fail(f"--key: {error}", _NOT_COMPARED)
    if all(each.name.endswith(RECEIPTS) for each in keys):
        fail("--key: this is a key of receipts; give the log's, whose name ends with /ledger", _NOT_COMPARED)
    return keys


def _kept(kept: Path, keys: "list[VerifierKey]") -> "Checkpoint | None":
    """The head that the last run kept; None if there is none."""
    from app.proof.verifier.notes import NoteError, opened

    if not kept.exists():
        return None
    with open_to_read(kept) as file:
        try:
            return opened(file.read(), keys)
        except NoteError as error:
            fail(f"{kept}, which is to hold the head that was kept: {error}", _NOT_COMPARED)


def _watched(client: "httpx2.Client", keys: "list[VerifierKey]", before: "Checkpoint | None", kept: Path) -> str:
    from app.proof.verifier.notes import NoteError, opened

    note = _fetched(client, "checkpoint").decode(errors="replace")
    try:
        head = opened(note, keys)
    except NoteError as error:
        raise WatchedLogError(f"{error}\n{note}") from error
    if before is None:
        _keep(note, kept)
        return f"{head.size} entries: the first head that is kept; what it stands for is not compared with anything."
    if head.size < before.size:
        raise WatchedLogError(f"the log had {before.size} entries, and has {head.size} now\n{note}")
    if _root_at(client, before.size, head.size) != before.root:
        raise WatchedLogError(f"the log does not begin any more with its {before.size} entries of before\n{note}")
    if _root_at(client, head.size, head.size) != head.root:
        raise WatchedLogError(f"the tree of the log is not the one that its head was signed for\n{note}")
    _keep(note, kept)
    return f"{head.size} entries, {head.size - before.size} more than before: it begins with the head that was kept."


def _keep(note: str, kept: Path) -> None:
    """Replace the kept head atomically: without a kept head nothing could be compared any more."""
    with written_whole(kept) as file:
        file.write(note)


def _root_at(client: "httpx2.Client", size: int, of: int) -> bytes:
    """The root that the log had at `size`, computed from the tiles that it serves at the larger size `of`."""
    from app.proof.tree import WIDTH, TileName, root_at, subtree_of, widths_at

    def tile(level: int, index: int) -> bytes:
        full, partial = widths_at(of, level)
        return _fetched(client, f"tile/{TileName(level, index, WIDTH if index < full else partial)}")

    try:
        return root_at(size, subtree_of(tile))
    except ValueError as error:
        raise WatchedLogError("the log serves tiles that are too short") from error


def _fetched(client: "httpx2.Client", path: str) -> bytes:
    answer = client.get(path)
    answer.raise_for_status()
    return bytes(answer.content)
