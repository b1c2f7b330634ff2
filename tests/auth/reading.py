"""An issuer's keys as this process reads them, on a clock that a test moves, and tokens shown to it."""

import time
from contextlib import asynccontextmanager

from app.auth.callers import key_digest
from app.auth.issuer_trust import ALGORITHMS, IssuerUnavailableError
from app.auth.issuers import Issuer, Rhythm, TokenCheck
from app.auth.key_sets import KeyFetcher
from app.auth.tokens import BadTokenError, TokenRules
from tests.support.issuer import AUDIENCE, ref_of

RHYTHM = Rhythm(refresh=300, retry=30, interval=10, keep=3_600)
HANGS = 60.0


class Hands:
    """A clock that only a test moves."""

    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        """Where it stands."""
        return self.at


@asynccontextmanager
async def reading(provider, *, seconds=HANGS, url=None):
    """An issuer as this process knows it, and the clock it goes by."""
    clock = Hands()
    fetcher = KeyFetcher(ALGORITHMS, seconds=seconds)
    issuer = Issuer(url or provider.url, fetcher, RHYTHM, clock)
    try:
        yield issuer, clock
    finally:
        await issuer.close()


def check_of(issuer):
    """What checks the tokens of an issuer."""
    rules = TokenRules(
        frozenset({issuer.name}), ref_of, AUDIENCE, frozenset({"ES256"}), frozenset({"at+jwt"}), skew=0.0
    )
    return TokenCheck(rules, [issuer])


async def shown(check, text, now=None):
    """What a token is found to be when it is shown, now or at an epoch time."""
    return await check.check(text, key_digest(text), time.time() if now is None else now)


async def why_of(awaited):
    """The word for which something is refused, a token or an issuer's answer."""
    why = None
    try:
        await awaited
    except BadTokenError as error:
        why = error.why
    except IssuerUnavailableError as error:
        why = error.why
    assert why in {*BadTokenError.WORDS, *IssuerUnavailableError.WORDS}, "nothing was refused"
    return why
