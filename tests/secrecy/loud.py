"""`sceau serve` with every log at its loudest; run as a script by the tests of this folder.

While the file SABOTAGE exists, each session of the database fails with its text in the error's message. LEAK is a word
that the service then lets out wherever it can: the control.
"""

import logging
import os
from pathlib import Path

from app.api.http import exchange
from app.cli import main
from app.db.database import Database, ReadPool
from app.telemetry import spans
from app.telemetry.metrics import Metrics

LOUD = (
    "sqlalchemy",
    "sqlalchemy.engine",
    "sqlalchemy.pool",
    "psycopg",
    "psycopg.pool",
    "asyncio",
    "alembic",
    "uvicorn",
)
SABOTAGE = Path(os.environ["SABOTAGE"])
LEAK = os.environ["LEAK"]

for name in LOUD:
    logging.getLogger(name).setLevel(logging.DEBUG)

_connection = Database._connection
_fetch = ReadPool.fetch
_exposition = Metrics.exposition


def _lookup(text):
    """Fail with a text in the message, the arguments, the cause and a note."""
    try:
        {}[text]
    except KeyError as error:
        error.add_note(f"a note on {text}")
        raise ValueError(f"cannot find {text!r}", {"of": text}) from error


def _sabotage():
    if SABOTAGE.exists():
        _lookup(SABOTAGE.read_text())


def _sabotaged(self):
    _sabotage()
    return _connection(self)


async def _fetching(self, server, statement, values):
    _sabotage()
    return await _fetch(self, server, statement, values)


def _exposing(self):
    logging.getLogger("leak").debug("the control lets out %s", LEAK)
    with spans.within(LEAK):
        pass
    return _exposition(self) + f"# {LEAK}\n".encode()


for owner, name, replacement in (
    (Database, "_connection", _sabotaged),
    (ReadPool, "fetch", _fetching),
    (Metrics, "exposition", _exposing),
):
    setattr(owner, name, replacement)
exchange.SECURITY_HEADERS["X-Leak"] = LEAK

main()
