"""Two callers count as two human beings only if no one person can stand behind both."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.consents.test_accounts import OTHER_KEY, _exchange
from tests.support.api import PSEUDONYM_KEY, UNLIMITED, Api, processing, running
from tests.support.databases import new_database
from tests.support.issuer import Issuer, issuing
from tests.support.two_persons import person, rule

Place = tuple[Api, Issuer, Issuer]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A deployment where two persons decide, called with the bootstrap key, and the two issuers of its tokens."""
    with issuing() as one, issuing() as other, new_database() as database:
        settings = {**one.settings, "oidc_issuer": f"{one.url},{other.url}", **UNLIMITED}
        with running(database, register_approval="two", **settings) as api:
            for name in ("always", "there"):  # somebody whom a proposal can wait for
                person(api, name, *_scopes(api))
                _identity(api, one, name)
                _identity(api, other, name)
            yield api, one, other


def _scopes(api: Api) -> list[str]:
    return list(api.ok("GET", "/v1/keys")["items"][0]["scopes"])


def _identity(by: Api, issuer: Issuer, name: str, **claims: Any) -> Api:
    """Register an issuer's account as a caller; that caller."""
    account = {"issuer": issuer.url, "subject": name}
    by.ok("POST", "/v1/keys", {"name": name, "kind": "person", "scopes": _scopes(by), "identity": account})
    return by.with_key(issuer.token(name, **claims))


def _may_approve(one: Api, other: Api, identifier: str) -> bool:
    """Whether one caller may approve what the other proposes."""
    made = one.call("POST", "/v1/processings", processing(identifier))
    if made.status_code == 409 and made.json()["type"] == "urn:sceau:problem:no-second-person":
        return False
    assert made.status_code == 201, made.text
    approved = rule(other, identifier, 1)
    assert approved.status_code == 201 or approved.json()["type"] == "urn:sceau:problem:own-proposal", approved.text
    return bool(approved.status_code == 201)


def test_two_accounts_of_one_issuer_are_two(place):
    """Two accounts of one issuer that the bootstrap key registered count as two human beings."""
    api, issuer, _ = place
    assert _may_approve(_identity(api, issuer, "ann"), _identity(api, issuer, "ben"), "two-accounts")


@pytest.mark.parametrize(("name", "elsewhere"), [("ada", "ada"), ("bea", "beatrice")])
def test_accounts_of_two_issuers_are_not_two(place, name, elsewhere):
    """Accounts of two issuers do not count as two human beings, under one name or two."""
    api, issuer, other = place
    account = _identity(api, issuer, name)
    assert not _may_approve(account, _identity(api, other, elsewhere), f"two-issuers-{name}")


def test_a_key_that_an_account_made_and_a_key_are_not_two(place):
    """A key made by Ian's account and Ian's own key do not count as two human beings."""
    api, issuer, _ = place
    by_key, by_token = person(api, "Ian", *_scopes(api)), _identity(api, issuer, "ian")
    made = person(by_token, "Kim", *_scopes(api))
    assert not _may_approve(by_key, made, "key-of-account")
    assert not _may_approve(made, by_key, "key-of-account-too")


def test_an_account_that_ones_own_account_registered_is_not_a_second_one(place):
    """An account that Ian's account registered as a person does not count as a second human being beside Ian."""
    api, issuer, _ = place
    ian = _identity(api, issuer, "ian-registrar")
    program = _identity(ian, issuer, "batch-client", client_id="batch-client")
    assert not _may_approve(ian, program, "programs-account")
    assert not _may_approve(program, ian, "programs-account-too")


def test_two_accounts_that_one_account_registered_are_not_two(place):
    """Two accounts that one account registered do not count as two human beings."""
    api, issuer, _ = place
    ian = _identity(api, issuer, "ian-of-both")
    one, other = _identity(ian, issuer, "first-of-ian"), _identity(ian, issuer, "second-of-ian")
    assert not _may_approve(one, other, "both-of-one")


def test_an_account_that_a_key_registered_is_not_two_with_an_account(place):
    """An account that a key registered does not count with another account as two human beings."""
    api, issuer, _ = place
    eve = person(api, "Eve", *_scopes(api))
    assert not _may_approve(_identity(eve, issuer, "of-eve"), _identity(api, issuer, "eve"), "registered-by-key")


def test_the_exchange_of_the_pseudonym_key_makes_one_account_no_second_one():
    """After an exchange of the pseudonym key, an account still cannot approve its own proposal, nor can its keys."""
    with issuing() as issuer, new_database() as database:
        two = {"register_approval": "two", **issuer.settings, **UNLIMITED}
        with running(database, **two) as api:
            uma, ian = _identity(api, issuer, "uma"), _identity(api, issuer, "ian")
            assert _may_approve(uma, ian, "first")
            api.decide("anybody", "first", "refused")  # the exchange rests on somebody who is found by both keys
            before = person(uma, "Kim", *_scopes(api))
            uma.register("by-account")
        with running(database, pseudonym_key=f"{PSEUDONYM_KEY},{OTHER_KEY}", **two) as api:
            _exchange(api)
        with running(database, pseudonym_key=f"{OTHER_KEY},{PSEUDONYM_KEY}", **two) as api:
            uma = api.with_key(issuer.token("uma"))
            assert rule(uma, "by-account", 1).status_code == 403
            after = person(uma, "Lee", *_scopes(api))
            assert not _may_approve(api.with_key(before.key), after, "by-keys")
            assert api.reason("anybody", "by-account") == "processing_suspended"
