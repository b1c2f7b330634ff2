"""What happens between a commit and its answer, each mechanism switched off (`tests.freshness.mutants`)."""

from contextlib import asynccontextmanager
from uuid import UUID

from app.api.consents.groups import Group
from app.api.register import invalidations
from app.api.register import routes as processings
from app.operations.register.add_version import change_status
from app.operations.register.invalidate_processing import invalidate_processing
from app.register.records import Registered
from app.register.store import load_invalidations, load_processing
from app.snapshot.leases import boot_seconds
from app.snapshot.writer import Confirmer, Writer


def own_dropped_before_commit(patch):
    """The process forgets what it is about to change, and commits afterwards."""

    @asynccontextmanager
    async def write(self: Writer, committed_now=None, lead=(), **_):
        async with self._database.write(None, lead) as session:
            yield session
            done = session.committing
            if self._replica is not None:
                self._replica.committed(done.changes)
        if done.narrowing and done.xid is not None:
            await _confirm(self, done, boot_seconds())

    patch(Writer, "write", write)


async def _confirm(writer: Writer, done, committed: float):
    await writer.confirmer.confirm(done.xid, committed, own_forgot=bool(done.changes), server=None)


def no_confirmation(patch):
    """A narrowing write is answered as soon as it is committed."""

    async def at_once(self: Confirmer, *_, **__):
        """Wait for no replica."""

    patch(Confirmer, "confirm", at_once)


def listed_before_commit(patch):
    """The replicas to wait for are those that were there before the commit."""
    real = Writer.write
    look = Confirmer._look

    listed: set[UUID] = set()

    @asynccontextmanager
    async def write(self: Writer, committed_now=None, lead=(), **_settings):
        listed.clear()
        rows, _ = await self.confirmer._rows()
        listed.update(rows)
        async with real(self, committed_now, lead) as session:
            yield session

    def looked(self: Confirmer, wait, rows):
        if wait.pending is None:
            wait.pending = set(listed)
        look(self, wait, rows)

    patch(Writer, "write", write)
    patch(Confirmer, "_look", looked)


def deadline_before_commit(patch):
    """The time after which a write is answered anyway runs from before its commit."""

    @asynccontextmanager
    async def write(self: Writer, committed_now=None, lead=(), **_):
        began = boot_seconds()
        async with self._database.write(None, lead) as session:
            yield session
        done = session.committing
        if self._replica is not None and done.changes:
            self._replica.committed(done.changes)
        if done.narrowing and done.xid is not None:
            await _confirm(self, done, began)

    patch(Writer, "write", write)


def repeated_at_once(patch):
    """A write that was done before under the same Idempotency-Key is answered at once."""
    real = Group.record

    async def record(self: Group, session, register):
        result = await real(self, session, register)
        if not session.committing.changes:
            session.committing.narrowing = False
        return result

    patch(Group, "record", record)


def repeated_status_at_once(patch):
    """A suspension of what is suspended already is answered at once."""
    real = change_status

    async def change(session, caller, identifier: str, status, approval):
        record = await load_processing(session, identifier)
        if record is not None and record.status_changes and record.status_changes[-1].status is status:
            return Registered(record, ())
        return await real(session, caller, identifier, status, approval)

    patch(processings, "change_status", change)


def repeated_invalidation_at_once(patch):
    """An invalidation of what is invalidated already is answered at once."""
    real = invalidate_processing

    async def invalidate(session, caller, identifier: str, struck, *more):
        known = await load_invalidations(session, identifier)
        invalidation = next((each for each in known if each.struck == struck), None)
        return invalidation or await real(session, caller, identifier, struck, *more)

    patch(invalidations, "invalidate_processing", invalidate)


def own_row_never_waited_for(patch):
    """A repetition that changed nothing leaves out its own process, which may never have forgotten."""
    confirm = Confirmer.confirm

    async def without_own(self: Confirmer, xid: int, committed: float, *, own_forgot: bool, server: str | None):
        del own_forgot
        await confirm(self, xid, committed, own_forgot=True, server=server)

    patch(Confirmer, "confirm", without_own)


def acknowledgement_unread(patch):
    """Each write takes any acknowledgement by a replica as its own."""

    def acknowledged(self: Confirmer, acknowledgement):
        for wait in list(self._waits):
            if wait.pending is not None:
                wait.pending.discard(acknowledgement.incarnation)
                self._end_if_nobody_is_left(wait)

    patch(Confirmer, "acknowledged", acknowledged)
