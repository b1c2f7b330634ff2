"""Deployments that tests of proofs share: each is made once for a file, and lent as a copy to each test."""

import random
from datetime import timedelta

import pytest

from tests.proof.asking import PEOPLE, PROCESSINGS, WIDE, ask
from tests.proof.logs import Log, copied, lived_in
from tests.proof.retained import OLD
from tests.support.api import TestClock, running, utc
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deployment in which something of each kind happened, all of it in the log."""
    with new_database() as database:
        yield lived_in(database, tmp_path_factory.mktemp("log"))


@pytest.fixture
def log(made, tmp_path):
    """The same, for a test to change."""
    with copied(made, tmp_path) as log:
        yield log


@pytest.fixture(scope="module")
def made_decided(tmp_path_factory):
    """A deployment whose sixty decisions of an hour are stated and entered."""
    with new_database() as database, pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
        log = Log(database, tmp_path_factory.mktemp("decided"))
        assert log.close() == 1
        with running(database, **WIDE) as api:
            for each, more in PROCESSINGS.items():
                api.register(each, **more)
            for name in PEOPLE[:4]:
                api.decide(name, "ads")
            ask(api, random.Random(3), 60)
        assert log.close() >= 1
        log.append()
        yield log


@pytest.fixture
def decided(made_decided, tmp_path):
    """The same, for a test to change."""
    with copied(made_decided, tmp_path) as log:
        yield log


@pytest.fixture(scope="module")
def made_old(tmp_path_factory):
    """A deployment with two people who answered years ago and one who answers now, all in the log."""
    with new_database() as database:
        with running(database, clock=TestClock(utc(OLD))) as api:
            api.register("ads", started_on="2018-01-01")
            api.register("stats", purpose="statistics", started_on="2018-01-01")
            for name in ("alice", "chloe"):
                api.decide(name, "ads")
            api.withdraw("alice", "ads")
            api.decide("bruno", "stats", "refused")
        with running(database) as api:
            api.decide("chloe", "ads")
        log = Log(database, tmp_path_factory.mktemp("old"))
        log.append()
        yield log


@pytest.fixture
def old(made_old, tmp_path):
    """The same, for a test to change."""
    with copied(made_old, tmp_path) as log:
        yield log
