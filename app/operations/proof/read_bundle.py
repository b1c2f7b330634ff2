"""What people read of a bundle: what the bodies in it say, by kind, and person by person.

What the bundle withholds from its entries (`app.operations.proof.bundle`) is not told here either.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from app.auth.store import load_caller
from app.db.session import ReadSession
from app.operations.proof.bundle import Bundle
from app.proof import store
from app.proof.store import StoredEntry

_TOGETHER: Final = 1_000


@dataclass(frozen=True, slots=True)
class OpenedEntry:
    """An entry of a bundle that has its body. `person`: the name of whom it is about in this bundle, "" without one."""

    position: int
    facts: Mapping[str, Any]
    person: str = ""


@dataclass(slots=True)
class BundleReading:
    """A bundle as it is read, some entries at once. `withheld`: how many events it leaves out, once all were read."""

    session: ReadSession
    bundle: Bundle
    withheld: int = 0

    async def of_kinds(self, *kinds: str) -> AsyncIterator[OpenedEntry]:
        """The entries of some kinds, in the log's order."""
        at, size = self.bundle.first, self.bundle.checkpoint.size
        while found := await store.entries_of(self.session, kinds, at, size, most=_TOGETHER):
            for each in await self._opened(found):
                yield each
            at = found[-1].position + 1

    async def histories(self) -> AsyncIterator[Sequence[OpenedEntry]]:
        """What each person said, in its order, one person after the other."""
        person: list[OpenedEntry] = []
        within, after = range(self.bundle.first, self.bundle.checkpoint.size), (b"", 0)
        while found := await store.entries_by_person(self.session, after=after, most=_TOGETHER):
            told = [entry for _, _, entry in found if entry is not None and entry.position in within]
            for each in await self._opened(told):
                if person and person[-1].person != each.person:
                    yield person
                    person = []
                person.append(each)
            after = found[-1][:2]
        if person:
            yield person

    async def name_of_caller(self, identifier: str) -> str:
        """The name of who recorded something, as it is now; the id of one that there is no more."""
        caller = await load_caller(self.session, UUID(identifier))
        return caller.name if caller is not None else identifier

    async def _opened(self, entries: Sequence[StoredEntry]) -> list[OpenedEntry]:
        """Those that have a body in the bundle."""
        records = await store.records(self.session, [(each.kind, each.id) for each in entries])
        opened = []
        for entry in entries:
            record = records.get((entry.kind, entry.id))
            if entry.salt is None or record is None:
                continue
            if self.bundle.withholds(record):
                self.withheld += 1
                continue
            ref = record.subjects.get("subject_ref")
            opened.append(OpenedEntry(entry.position, record.facts, self.bundle.name_of(ref) if ref else ""))
        return opened
