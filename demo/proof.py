"""The last step: a receipt is verified with the verifier alone, and a row that a superuser forges is named."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import text

from app.db.database import Database, PoolLimits
from app.operations.proof.bundle import BundlePlan, write_bundle
from app.proof.entries import Bag
from demo.client import Client
from demo.people import People
from demo.refusal import Refused
from demo.register import ADS

_KEEPER: Final = "nora@people.example"
_SCEAU: Final = "import sys; from app.cli import main; sys.argv[0] = 'sceau'; main()"
_WRONG: Final = 1
_INCOMPLETE: Final = 3
_CHECKOUT: Final = Path(__file__).resolve().parent.parent
_FORGERY: Final = """
UPDATE consent_event SET evidence = jsonb_set(evidence, '{method}', to_jsonb('paper'::text)) WHERE id = :id
"""


class _TakenBackError(Exception):
    """Ends the transaction of the forgery, so that nothing of it is committed."""


class Proof:
    """Tells the two, on the data directory of the demo."""

    def __init__(self, administrator: Client, people: People, say: Callable[[str], None], data: Path) -> None:
        """Act through an administrator and by commands, and say each line."""
        self._administrator = administrator
        self._people = people
        self._say = say
        self._data = data

    def tell(self) -> None:
        """A receipt that is good, and a forgery that is seen.

        Raises:
            Refused: a command or the verifier does not do its part.

        """
        consent = self._people.decide(_KEEPER, ADS)["id"]
        self._sceau("stamp", "--data", str(self._data))  # or the service does, within a quarter of a minute
        entries = self._administrator.text("/proof/v1/checkpoint").splitlines()[1]
        self._say(f"what was recorded stands in the log, whose signed head has {entries} entries")
        with tempfile.TemporaryDirectory(prefix="sceau-demo-") as made:
            place = Path(made)
            (place / "verify.py").write_text(self._sceau("verify", "--script"), encoding="utf-8")
            keys = self._sceau("key", "--data", str(self._data)).split()
            self._receipt(place, keys, consent)
            self._forged(place, keys, consent)

    def _receipt(self, place: Path, keys: Sequence[str], consent: str) -> None:
        """The receipt of a consent, checked by one file of Python that knows nothing of this service."""
        (place / "receipt.jwt").write_text(
            self._administrator.text(f"/v1/consents/{consent}/receipt"), encoding="utf-8"
        )
        status, said = self._verified(place, "receipt.jwt", keys)
        proved = next((line for line in said if "the entry stands in the log" in line), None)
        if status != _INCOMPLETE or proved is None:
            raise Refused("a receipt does not verify: this is a defect, please report it")
        self._say(f"Nora consents; her receipt, checked by verify.py alone: {proved}")

    def _forged(self, place: Path, keys: Sequence[str], consent: str) -> None:
        """A superuser changes how a consent was given, past every trigger; the bundle of that moment names it."""
        asyncio.run(self._bundle_of_forgery(place / "audit.zip", consent))
        status, said = self._verified(place, "audit.zip", keys)
        named = next((line for line in said if "WRONG" in line and consent in line), None)
        if status != _WRONG or named is None:
            raise Refused("a forged row is not named: this is a defect, please report it")
        self._say(f"a superuser changes how she gave it; the bundle of that moment says, as it should: {named}")
        self._sceau("bundle", "-o", str(place / "after.zip"), "--data", str(self._data))
        status, said = self._verified(place, "after.zip", keys)
        if status != _INCOMPLETE:
            raise Refused("the bundle of the row as it was does not verify: this is a defect, please report it")
        self._say("the row is as it was again, and a new bundle verifies")

    async def _bundle_of_forgery(self, file: Path, consent: str) -> None:
        """The bundle is made inside the transaction of the forgery: a demo that is killed here leaves nothing of it."""
        database = Database(self._superuser(), limits=PoolLimits(size=1, deadline=timedelta(minutes=5)))
        try:
            with suppress(_TakenBackError):
                await self._forge(database, file, consent)
        finally:
            await database.close()

    async def _forge(self, database: Database, file: Path, consent: str) -> None:
        async with database.write(at_once=True) as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))  # no trigger runs
            await session.execute(text(_FORGERY), {"id": consent})
            with file.open("wb") as sink, Bag(sink) as bag:
                await write_bundle(session, BundlePlan(None, None, secrets.token_bytes(32)), bag)
            raise _TakenBackError

    def _superuser(self) -> str:
        """How its operating-system user reaches the demo's own PostgreSQL as superuser."""
        running: dict[str, dict[str, str]] = json.loads((self._data / "running.json").read_text(encoding="utf-8"))
        address = urlsplit(running["environment"]["SCEAU_DATABASE_OWNER_URL"])
        return urlunsplit(address._replace(netloc="postgres@"))

    def _verified(self, place: Path, file: str, keys: Sequence[str]) -> tuple[int, list[str]]:
        given = [part for key in keys for part in ("--key", key)]
        command = [sys.executable, "-I", "verify.py", file, *given]
        done = subprocess.run(command, cwd=place, check=False, capture_output=True, text=True)
        return done.returncode, done.stdout.splitlines()

    def _sceau(self, *words: str) -> str:
        command = [sys.executable, "-c", _SCEAU, "proof", *words]
        # As for the service itself: a shell may set another deployment.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
        done = subprocess.run(command, cwd=_CHECKOUT, env=kept, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Refused(f"sceau proof {words[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout
