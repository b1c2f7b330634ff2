"""After an erasure and VACUUM FULL no byte on disk leads from the id to the ledger, with every key in hand."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from starlette.testclient import TestClient

from app.journal.store import read_line
from app.ledger.identifiers import Pseudonyms, Vault
from tests.faults.service import Server, Service, eventually
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY, Api, question, subject
from tests.support.commands import run_bare

ERASED, OTHER, KEPT = "zq-erased@exemple.fr", "zq-second-name@exemple.fr", "zq-kept@exemple.fr"
_NEAR = 400
"""Octets: further apart than this, an id's trace and a ledger's pseudonym are of two rows."""


@dataclass(frozen=True)
class Traces:
    """What leads from a person's ids to their ledgers, as bytes: ids and locators, pseudonyms, the vault's rows."""

    names: tuple[bytes, ...]
    refs: tuple[bytes, ...]
    sealed: tuple[bytes, ...]

    def found(self, content: bytes) -> set[str]:
        """What of it stands in a file, in binary or as PostgreSQL and JSON write bytes."""
        near = _forms(self.refs)
        kinds = {"sealed id"} if any(each in content for each in _forms(self.sealed)) else set()
        for name in _forms(self.names):
            for match in re.finditer(re.escape(name), content):
                around = content[max(0, match.start() - _NEAR) : match.end() + _NEAR]
                if any(ref in around for ref in near):
                    kinds.add("id or locator beside a ledger")
        return kinds


def _forms(values: tuple[bytes, ...]) -> list[bytes]:
    return [form for value in values for form in (value, value.hex().encode())]


def _traces(server: Server, *names: str) -> Traces:
    """The traces of a person, read while they are there."""
    made = Pseudonyms(bytes.fromhex(PSEUDONYM_KEY))
    locators = [made.locator("user", name) for name in names]
    with server.administrator() as connection:
        refs = connection.execute("SELECT subject_ref FROM subject_locator WHERE locator = ANY(%s)", [locators])
        ledgers = [bytes(ref) for (ref,) in refs.fetchall()]
        kept = connection.execute(
            "SELECT wrapped_key, sealed_id FROM subject_vault WHERE subject_ref = ANY(%s)", [ledgers]
        ).fetchall()
    sealed = [bytes(each) for row in kept for each in row]
    return Traces((*(name.encode() for name in names), *locators), tuple(ledgers), tuple(sealed))


def _contents(file: Path) -> Iterator[bytes]:
    """What a file holds, also packed or sealed: members of a ZIP, and notes of the journal."""
    yield file.read_bytes()
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as bag:
            yield from map(bag.read, bag.namelist())
    if file.suffix == ".ndjson":
        name, key = MASTER_KEY.split(":")
        vault = Vault({name: bytes.fromhex(key)})
        yield from (msgspec.json.encode(read_line(line, vault).note) for line in file.read_bytes().splitlines())


def _found(traces: Traces, *folders: Path) -> Mapping[str, set[str]]:
    """What of somebody's traces stands in which file, by its place."""
    places = {}
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and (kinds := set[str]().union(*map(traces.found, _contents(file)))):
                places[f"{folder.name}/{file.relative_to(folder)}"] = kinds
    return places


@dataclass(frozen=True)
class Deployment:
    """A service on a cluster of its own, and the folders in which anything of it lies."""

    server: Server
    api: Api
    folders: tuple[Path, ...]
    settings: Mapping[str, str]

    def sceau(self, *words: Any) -> None:
        """Run a command that must succeed."""
        status, errors, _ = run_bare(self.settings, *words)
        assert status == 0, errors


@pytest.fixture
def deployment(tmp_path) -> Iterator[Deployment]:
    """One with a journal, so that what is noted outside the database counts too."""
    state, out = tmp_path / "state", tmp_path / "out"
    out.mkdir()
    state.mkdir(mode=0o700)
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    settings = {**server.settings, "SCEAU_STATE_DIRECTORY": str(state)}
    service = Service(tmp_path / "service.log", settings).wait_until_it_listens()
    keys = {"SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY, "SCEAU_MASTER_KEY": MASTER_KEY, "SCEAU_DURABILITY": "local"}
    try:
        yield Deployment(
            server,
            Api(cast("TestClient", service.client)),
            (tmp_path / "server", state, out),
            {**settings, **keys, "SCEAU_REGISTER_APPROVAL": "one"},
        )
    finally:
        service.end()
        server.embedded.stop()


def _live(api: Api, *names: str) -> None:
    """Consents, a closed account, refusals, withdrawals, decisions and an explanation of somebody."""
    for name in names:
        api.decide(name, "ads-mail")
        api.withdraw(name, "ads-mail")
        api.ok("POST", "/v1/subjects/closures", {"subject": subject(name)})
        api.decide(name, "ads-mail")
        api.decide(name, "stats", "refused")
        api.withdraw(name, "ads-mail")
        api.evaluate(name, "ads-mail")
        api.ok("POST", "/v1/explanations", question(name, "ads-mail"))


def _tidied(server: Server) -> None:
    """Do what docs/operating.md says where dead rows and the write-ahead log shall not wait for their turn."""
    with server.administrator() as connection:
        connection.execute("VACUUM FULL")
        for _ in range(2):
            connection.execute("SELECT pg_switch_wal()")
            connection.execute("CHECKPOINT")


def _is_gone(deployment: Deployment, theirs: Traces) -> bool:
    """Whether no file has a trace: a row that a transaction may still see survives one VACUUM FULL, not the next."""
    _tidied(deployment.server)
    return not _found(theirs, *deployment.folders)


def test_no_byte_leads_from_an_erased_id_to_its_ledger(deployment):
    """Table files, write-ahead log, journal, log segments and a bundle: before the erasure some do, after it none."""
    api = deployment.api
    api.register("ads-mail")
    api.register("stats")
    _live(api, ERASED, KEPT)
    api.ok("POST", "/v1/subjects/links", {"from": subject(OTHER), "to": subject(ERASED), "basis": "user_proved"})
    theirs, others = _traces(deployment.server, ERASED, OTHER), _traces(deployment.server, KEPT)
    assert len(theirs.refs) > 1
    _tidied(deployment.server)
    assert any("base/" in place for place in _found(theirs, *deployment.folders)), "control: the search finds nothing"

    api.ok("POST", "/v1/subjects/erasures", {"subject": subject(ERASED)})
    eventually(lambda: _traces(deployment.server, ERASED, OTHER).sealed == ())
    deployment.sceau("proof", "stamp")
    deployment.sceau("proof", "bundle", "--output", deployment.folders[2] / "audit.zip")
    eventually(lambda: _is_gone(deployment, theirs))
    assert _found(others, *deployment.folders), "control: the search finds nothing any more"
