"""Where a decision reads when memory may not be used: a server that is proven to be the primary, or none."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.db.connections import NotThePrimaryError
from app.db.database import Database, DatabaseUnavailableError, Look
from app.db.session import ReadSession
from app.snapshot.feed import Feed


class PrimaryReads:
    """Opens sessions for reading what a permit may rest on.

    While a lease is held, the server that answered the last beat is read. While the feed is connected and its beat does
    not commit, nothing is: behind a synchronous standby only a beat that commits proves a primary. Where none of the
    feed's last connection did, nothing is read until one does: each question would wait for what the feed waits for.
    Without a feed the read proves itself, by a commit of its own where the server's commits wait for a standby.

    `causes` counts why the primary was read (`strict`: each decision reads it; `leased`: what memory does not hold;
    `no_feed`), and why a read failed (`no_commit`: no beat commits; `other_server`: what answered is not the primary).
    """

    def __init__(
        self, database: Database, feed: Feed | None, look: Look, *, synchronous: bool, patience: float
    ) -> None:
        """Prepare.

        Args:
            database: what is read.
            feed: this process's own; None in strict mode.
            look: looks whether a server was set back, where the feed has not done it.
            synchronous: whether the deployment wants a standby that its commits wait for.
            patience: the most seconds to wait for a beat: a lease, after which a connection that is silent is given up.

        """
        self._database = database
        self._feed = feed
        self._look = look
        self._synchronous = synchronous
        self._patience = patience
        self.causes: Counter[tuple[str, ...]] = Counter()

    @asynccontextmanager
    async def read(self, *, at_once: bool = False) -> AsyncIterator[ReadSession]:
        """A session on a primary; `at_once`: every statement sees it as the first one does.

        Raises:
            RestoredBehindError: the database was set back.
            DatabaseUnavailableError: the database is away, or nothing proves that what answers is the primary.

        """
        server = await self._server()
        try:
            if server is not None:
                async with self._database.read_from(server, at_once=at_once) as session:
                    yield session
            else:
                async with self._database.read_and_prove(look=self._look, at_once=at_once) as session:
                    yield session
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, NotThePrimaryError):
                self.causes["other_server",] += 1
            raise

    @property
    def connected(self) -> bool:
        """Whether the feed has found a server that may be the primary."""
        return self._feed is not None and self._feed.connected

    @asynccontextmanager
    async def read_exempt(self) -> AsyncIterator[ReadSession]:
        """A session for what exempt purposes need, on a database that was set back or is not proven: for nothing else.

        Raises:
            DatabaseUnavailableError: the database is away.

        """
        async with self._database.read() as session:
            yield session

    async def _server(self) -> str | None:
        """The server of the last beat; None where no feed can tell."""
        if self._feed is None:
            self.causes["strict",] += 1
            return None
        if self._synchronous and self._feed.hangs:
            raise self._unproven()
        try:
            async with asyncio.timeout(self._patience):
                await self._feed.settled()
        except TimeoutError:
            raise self._unproven() from None
        held = self._feed.lease.held()
        self.causes["leased" if held else "no_feed",] += 1
        return self._feed.server if held else None

    def _unproven(self) -> DatabaseUnavailableError:
        """No beat commits."""
        self.causes["no_commit",] += 1
        return DatabaseUnavailableError()
