from functools import partial

import pytest

from tests.support.api import running
from tests.support.commands import run_command
from tests.support.issuer import issuing


@pytest.fixture
def sceau(database):
    """Run `sceau keys …` on a database of its own: the exit status, what was said beside the output, and that."""
    return partial(run_command, database, "keys")


@pytest.fixture
def identities(database):
    """Run `sceau identities …` with an issuer: the same, and the issuer."""
    with issuing() as provider:
        yield partial(run_command, database, "identities", **provider.settings), provider


def _made(sceau, *more):
    status, errors, key = sceau("create", "mailer", "--scope", "register:read", *more)
    assert status == 0
    return errors.split(";")[0].removeprefix("id "), key.strip()


def _reads(api, key):
    return api.with_key(key).call("GET", "/v1/processings").status_code == 200


def test_a_person_s_key_is_made_and_listed(sceau):
    """A key is made for a person with an end; the list tells kind, end and that it was never used."""
    identifier, key = _made(sceau, "--kind", "person", "--expires-in", "P90D")
    status, _, listed = sceau("list")
    caller, of_key = listed.splitlines()
    assert status == 0
    assert caller.startswith(f"{identifier}  in force  person   mailer  [register:read]")
    assert "good until 2" in of_key
    assert of_key.endswith("never used")
    assert key not in listed


def test_a_key_is_rotated_and_the_one_before_goes_on(sceau, database):
    """The new key alone is on standard output; the one before works for as long as is said beside it."""
    identifier, key = _made(sceau)
    status, errors, new = sceau("rotate", identifier, "--overlap", "P2D")
    assert status == 0
    assert "is good until" in errors
    with running(database) as api:
        assert _reads(api, key)
        assert _reads(api, new.strip())
        status, errors, newer = sceau("rotate", identifier, "--compromised")
        assert status == 0
        assert errors.count("is good for nothing any more") == 2
        assert not _reads(api, key)
        assert not _reads(api, new.strip())
        assert _reads(api, newer.strip())


def test_a_caller_is_changed(sceau, database):
    """Scopes and processings that were left out of a change are gone when the command returns; the rest stays."""
    identifier, key = _made(sceau, "--scope", "audit:read", "--processing", "one")
    with running(database) as api:
        assert _reads(api, key)
        assert sceau("change", identifier, "--scope", "audit:read")[::2] == (0, f"{identifier} is changed.\n")
        assert not _reads(api, key)
    assert "mailer  [audit:read]  one" in sceau("list")[2]
    assert sceau("change", identifier, "--every-processing", "--name", "reader")[0] == 0
    assert "reader  [audit:read]  every processing" in sceau("list")[2]
    assert sceau("change", identifier, "--every-processing", "--processing", "one")[0] == 2


def test_one_key_is_revoked(sceau, database):
    """Revoking one key by its id leaves the caller its other one; the list tells which is which."""
    identifier, key = _made(sceau)
    *_, new = sceau("rotate", identifier)
    first = sceau("list")[2].splitlines()[1].split()[1]
    assert sceau("revoke", identifier, "--key", first)[::2] == (0, f"{first} is revoked.\n")
    listed = sceau("list", "--all")[2].splitlines()[1:]
    assert [line.split("  ")[3].split()[0] for line in listed] == ["revoked", "good"]
    with running(database) as api:
        assert not _reads(api, key)
        assert _reads(api, new.strip())


def test_an_identity_is_registered_at_the_command_line(identities, sceau, database):
    """A person's identity is registered with the only issuer there is; its tokens are good, and the list tells it."""
    register, provider = identities
    status, *printed = register("register", "Ada", "--subject", "ada", "--scope", "register:read", "--kind", "person")
    assert status == 0
    assert "".join(printed).startswith("id ")
    with running(database, **provider.settings) as api:
        assert _reads(api, provider.token("ada"))
        assert not _reads(api, provider.token("bob"))
    listed = sceau("list")[2]
    assert "in force  person   Ada" in listed
    assert f"tokens of {provider.url} about ada, last used 2" in listed
    assert register("register", "Ada", "--subject", "ada", "--scope", "register:read")[0] == 1


def test_issuers_are_asked_at_the_command_line(identities):
    """Each issuer's keys are told, or in a word why there are none; then the status is 1."""
    sceau, provider = identities
    status, _, output = sceau("issuers")
    assert (status, output) == (0, f"{provider.url}: {provider.key.kid} (ES256)\n")
    provider.mode = "garbage"
    status, _, output = sceau("issuers")
    assert (status, output) == (1, f"{provider.url}: no keys (discovery)\n")
    provider.mode, provider.published = "good", []
    status, _, output = sceau("issuers")
    assert (status, output) == (1, f"{provider.url}: no keys (keys)\n")


@pytest.mark.parametrize(
    "words",
    [
        ("rotate", "01990000-0000-7000-8000-000000000000", "--overlap", "a week"),
        ("rotate", "01990000-0000-7000-8000-000000000000", "--overlap", "P1D", "--compromised"),
        ("create", "mailer", "--scope", "register:read", "--kind", "robot"),
        ("create", "mailer", "--scope", "register:read", "--expires-in", "soon"),
    ],
)
def test_wrong_words_are_usage_errors(sceau, words):
    """A duration that is none, a compromised key that is to overlap, and an unknown kind exit with 2."""
    assert sceau(*words)[0] == 2
