"""The issuers whose tokens are taken, and their keys: fetched seldom, kept while an issuer is away, asked for in time.

Tokens with made-up key ids must not make this process ask the issuer each time, nor wait with
every caller: one fetch at a time, one in so many seconds, and only those wait whose key is not known.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from app.auth.issuer_trust import IssuerUnavailableError
from app.auth.key_fetch import KeyFetcher, Source
from app.auth.key_sets import KeySet, SigningKey

_MOST_WAITING: Final = 100
log = structlog.get_logger("sceau.issuers")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Times in seconds.

    `refresh` is how often keys are fetched anyway, `retry` how soon again after a failure, `interval` how soon again
    whatever happens, `keep` how long they are used while the issuer is away.
    """

    refresh: float = 300.0
    retry: float = 30.0
    interval: float = 10.0
    keep: float = 86_400.0


class Issuer:
    """One issuer's keys in this process."""

    def __init__(self, source: Source, fetcher: KeyFetcher, rhythm: Rhythm, clock: Callable[[], float]) -> None:
        """Know no key yet. `clock` only goes forward, in seconds."""
        self.source = source
        self.failures = 0
        self.fetches = 0
        self._fetcher = fetcher
        self._rhythm = rhythm
        self._clock = clock
        self._keys = KeySet()
        self._fetched: float | None = None
        self._tried: float | None = None
        self._waiting = 0
        self._flight: asyncio.Task[None] | None = None
        self.lost: Callable[[frozenset[str]], None] = lambda _: None

    @property
    def age(self) -> float | None:
        """Seconds since its keys were fetched; None if they never were."""
        return None if self._fetched is None else self._clock() - self._fetched

    @property
    def keys(self) -> KeySet:
        """Its keys, unless they were fetched too long ago to be believed."""
        age = self.age
        return self._keys if age is not None and age <= self._rhythm.keep else KeySet()

    @property
    def pause(self) -> float:
        """Seconds until its keys are to be fetched again."""
        return self._rhythm.retry if self.failures else self._rhythm.refresh

    async def keys_for(self, key_id: str | None, algorithm: str) -> list[SigningKey]:
        """The keys that may have signed a token; empty when the issuer has none such.

        Raises:
            IssuerUnavailableError: that cannot be known now.

        """
        found = self.keys.fitting(key_id, algorithm)
        if found:
            return found
        if self._flight is None and not self._may_fetch():
            if self.failures or not self.keys.keys:
                raise IssuerUnavailableError("waiting")
            return []
        if self._waiting >= _MOST_WAITING:
            raise IssuerUnavailableError("waiting")
        self._waiting += 1
        try:
            await self._joined()
        finally:
            self._waiting -= 1
        return self.keys.fitting(key_id, algorithm)

    async def fetch(self) -> KeySet:
        """Its keys as they are now, whatever is known of them here.

        Raises:
            IssuerUnavailableError: they cannot be read.

        """
        return await self._fetcher.fetch(self.source)

    async def refresh(self) -> None:
        """Fetch now, if no fetch is under way and the last one is not too recent; a failure is noted, not raised."""
        if self._flight is None and self._may_fetch():
            with contextlib.suppress(IssuerUnavailableError):
                await self._joined()

    def _may_fetch(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= self._rhythm.interval

    async def _joined(self) -> None:
        """Wait for the fetch under way, or begin one; it goes on when the request that began it has ended."""
        if self._flight is None:
            self._tried = self._clock()
            self._flight = asyncio.create_task(self._fetch())
            self._flight.add_done_callback(self._landed)
        await asyncio.shield(self._flight)

    def _landed(self, flight: "asyncio.Task[None]") -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # retrieved: the requests that waited may have ended

    async def _fetch(self) -> None:
        """Fetch, and take what came in the place of what was there."""
        self.fetches += 1
        try:
            keys = await self.fetch()
        except IssuerUnavailableError as error:
            self.failures += 1
            log.warning(
                "the issuer's keys cannot be read", issuer=self.source.issuer, why=error.why, times=self.failures
            )
            raise
        if self.failures or self._fetched is None:
            log.info("the issuer's keys were read", issuer=self.source.issuer, keys=len(keys.keys))
        gone = {each.thumbprint for each in self._keys.keys} - {each.thumbprint for each in keys.keys}
        self._keys, self._fetched, self.failures = keys, self._clock(), 0
        if gone:
            self.lost(frozenset(gone))

    async def close(self) -> None:
        """End a fetch that is under way, and whatever is open."""
        if self._flight is not None:
            self._flight.cancel()
            with contextlib.suppress(asyncio.CancelledError, IssuerUnavailableError):
                await self._flight
        await self._fetcher.close()


async def keep_fresh(issuers: Sequence[Issuer]) -> None:
    """Fetch the keys of every issuer now and again and again, until cancelled; sooner again after a failure."""
    while True:
        for outcome in await asyncio.gather(*(each.refresh() for each in issuers), return_exceptions=True):
            if isinstance(outcome, Exception):  # unforeseen: the next round runs nevertheless
                log.error("fetching an issuer's keys failed", cause=type(outcome).__name__)
        await asyncio.sleep(min(each.pause for each in issuers))
