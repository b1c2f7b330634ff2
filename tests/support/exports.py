"""Exports of deployments: put into other databases, edited, and signed again as only a holder of its keys can."""

import asyncio
import gzip
import json
from hashlib import sha256

from app.operations.proof.exports import sign_export
from app.wiring.parts import database_of, deployment_of
from tests.support.api import settings_for
from tests.support.commands import run_command


def key_of(database):
    """The newest key of a deployment's log."""
    return run_command(database, "proof", "key")[2].splitlines()[0]


def restored(empty, file, *keys, **more):
    """Put an export into a database: the exit status, and what was said on standard error and output."""
    return run_command(empty, "restore", file, *(part for key in keys for part in ("--key", key)), **more)


def lines_of(file):
    """The lines of an export, each with its end."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", newline="") as lines:
        return [*lines]


def rows_of(lines, table):
    """The rows of a table, with the place of each among the lines."""
    read = ((place, json.loads(line)) for place, line in enumerate(lines))
    return [(place, members["row"]) for place, members in read if members.get("table") == table]


def line_of(table, row):
    """A row as a line."""
    return json.dumps({"table": table, "row": row}) + "\n"


def counted(lines):
    """How many rows an export has, and the hash of all lines but its end."""
    return len(lines) - 2, sha256("".join(lines[:-1]).encode()).hexdigest()


def with_digest(lines):
    """An export whose end fits its lines' number and hash, with the earlier signature."""
    note = json.loads(lines[-1])["end"].split("\n")
    note[2:4] = map(str, counted(lines))
    return [*lines[:-1], json.dumps({"end": "\n".join(note)}) + "\n"]


def signed_anew(database, lines):
    """An export that its deployment's own key signed as it is now."""

    async def sign():
        settings = settings_for(database)
        made = database_of(settings)
        try:
            async with made.read() as session:
                return await sign_export(session, deployment_of(settings), *counted(lines))
        finally:
            await made.close()

    return [*lines[:-1], json.dumps({"end": asyncio.run(sign())}) + "\n"]
