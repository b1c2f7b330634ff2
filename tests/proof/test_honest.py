"""Honest deployments, in which random things happen: no comparison of their files calls any of them wrong."""

import random
from contextlib import ExitStack, suppress
from datetime import timedelta

import pytest

from app.auth.callers import Scope
from tests.proof.asking import WIDE, ask, replayed
from tests.proof.logs import PUBLIC_URL, Log
from tests.support import two_persons
from tests.support.api import running, subject
from tests.support.databases import new_database
from tests.support.exports import key_of, restored
from tests.support.imports import row
from tests.support.invalidations import invalidate
from tests.support.sweeping import sweep

pytestmark = pytest.mark.deep
NAMES = tuple(f"person {number}" for number in range(9))
PROCESSINGS = ("ads", "stats", "all")
STEPS = 60


class Life:
    """A random deployment, with the files that others keep of it: heads, receipts and bundles."""

    def __init__(self, database, place, chance, patch):
        self.database, self.place, self.chance, self.patch = database, place, chance, patch
        self.log, self.kept, self.number = Log(database, place), [], 0

    def begin(self, api):
        """Register processings, and begin to state hours."""
        self.log.close()
        api.register("ads", consent_validity="P1Y")
        api.register("stats", purpose="statistics", party_mode="all_local_users", consent_validity="P6M")
        api.register("all", party_mode="all_parties")
        api.register("spam", purpose="unsolicited_content_detection")

    def step(self, api):
        """Do one random thing."""
        name, about = self.chance.choice(NAMES), self.chance.choice(PROCESSINGS)
        body, chance = {"subject": subject(name)}, random.Random(self.chance.random())
        happenings = {
            "ask": (12, lambda: ask(api, chance, 15)),
            "decide": (12, lambda: self._decide(api, name, about)),
            "withdraw": (6, lambda: api.withdraw(name, self.chance.choice([about, None]))),
            "state an age": (2, lambda: api.call("POST", "/v1/subjects/ages", {**body, **AGE})),
            "close": (2, lambda: api.call("POST", "/v1/subjects/closures", body)),
            "erase": (2, lambda: api.call("POST", "/v1/subjects/erasures", body)),
            "share": (1, lambda: api.call("POST", "/v1/subjects/mailboxes", {**body, "shared": True})),
            "link": (2, lambda: api.call("POST", "/v1/subjects/links", self._link(name))),
            "new version": (2, lambda: two_persons.add(api, about, material=True, elements=["content", "attachments"])),
            "suspend": (1, lambda: api.call("PATCH", f"/v1/processings/{about}", {"status": "suspended"})),
            "resume": (2, lambda: api.call("PATCH", f"/v1/processings/{about}", {"status": "active"})),
            "invalidate": (1, lambda: invalidate(api, about)),
            "import": (2, lambda: api.call("POST", "/v1/imports", self._import(name, about))),
            "sweep": (3, lambda: sweep(self.database)),
            "append": (8, self.log.append),
            "close an hour": (2, self._close),
            "rotate": (1, lambda: self.log.sceau("signing-keys", "rotate", self.chance.choice(["log", "receipts"]))),
            "keep a head": (3, self._keep_head),
            "keep a receipt": (4, lambda: self._keep_receipt(api, name)),
            "bundle": (3, self._bundle),
            "change a caller": (
                1,
                lambda: api.call("POST", "/v1/keys", {"name": "x", "scopes": ["decisions:evaluate"]}),
            ),
        }
        chosen = self.chance.choices([*happenings], [weight for weight, _ in happenings.values()])[0]
        happenings[chosen][1]()

    def _decide(self, api, name, about):
        with suppress(AssertionError):  # a mailbox that is shared, or a processing that is suspended, takes none
            api.decide(name, about, self.chance.choice(["granted", "granted", "refused"]))

    def _link(self, name):
        return {"from": subject(self.chance.choice(NAMES)), "to": subject(name), "basis": "provider_account"}

    def _import(self, name, about):
        self.number += 1
        return {"import": f"older-{self.number}", "rows": [row(1, name, "refused", processing=about)]}

    def _close(self):
        with self.patch.context() as patch:
            patch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
            self.log.close()

    def _file(self, kind, text=None):
        self.number += 1
        path = self.place / f"{self.number:03}.{kind}"
        if text is not None:
            path.write_text(text)
        self.kept.append(path)
        return path

    def _keep_head(self):
        if (self.log.heads / "checkpoint").exists():
            self._file("head", self.log.head())

    def _keep_receipt(self, api, name):
        events = api.ok("POST", "/v1/subjects/exports", {"subject": subject(name)})["events"]
        acts = [each for each in events if each["kind"] in {"granted", "refused", "withdrawn"}]
        if acts:
            answer = api.call("GET", f"/v1/consents/{self.chance.choice(acts)['id']}/receipt")
            assert answer.status_code == 200, answer.text
            self._file("jwt", answer.text)

    def _bundle(self):
        self.log.append()
        words = self.chance.choice(
            [(), (), ("--until", "2020-01-01"), ("--processing", "ads"), ("--since", "2020-01-01")]
        )
        self.log.bundle(*words, name=self._file("zip").name)


AGE = {"age_band": "adult", "stated_by": "operator", "checked_how": "account_data"}


@pytest.mark.parametrize("seed", range(10))
def test_nobody_accuses_an_honest_deployment(database, tmp_path, monkeypatch, seed):
    """After sixty random acts all files and the replay are good, and again after a move to another database."""
    life = Life(database, tmp_path, random.Random(seed), monkeypatch)
    with running(database, cache="leased", public_url=PUBLIC_URL, **WIDE) as api:
        life.begin(api)
        for _ in range(STEPS):
            life.step(api)
    life._close()
    life._bundle()
    _is_good(life)
    with ExitStack() as stack:
        empty, file = stack.enter_context(new_database()), tmp_path / "export.ndjson"
        assert life.log.sceau("export", file)[0] == 0
        done = restored(empty, file, key_of(database), public_url=PUBLIC_URL)
        assert done[0] == 0, done
        (tmp_path / "there").mkdir()
        moved = Life(empty, tmp_path / "there", random.Random(seed + 100), monkeypatch)
        moved.kept, moved.number = life.kept, 500
        scopes = [part for scope in Scope for part in ("--scope", scope.value)]
        key = moved.log.sceau("keys", "create", "admin", *scopes)[2].strip()  # an export has no keys of callers
        with running(empty, cache="leased", public_url=PUBLIC_URL, **WIDE) as served:
            api = served.with_key(key)
            for _ in range(STEPS // 3):
                moved.step(api)
        moved._close()
        moved._bundle()
        _is_good(moved)


def _is_good(life):
    keys = [part for key in life.log.key().split("\n") for part in ("--key", key)]
    status, _, output = life.log.sceau("proof", "verify", *life.kept, *keys)
    wrong = [line for line in output.splitlines() if "WRONG: " in line and "do not rely" not in line]
    # A receipt of a consent that ended says so: that accuses whoever uses it, and not the deployment.
    assert [line for line in wrong if "does not stand any more" not in line] == []
    assert "UNREADABLE" not in output
    status, output = replayed(life.log)
    assert (status != 1, "0 different" in output, "ALTERED" in output) == (True, True, False), output
