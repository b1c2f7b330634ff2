"""What this process last read of callers and register entries: for exempt processings while the database is away.

Never used while the database answers, and never for a purpose of IV: a permit under IV rests on facts read for it.
"""

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from app.auth.callers import Authenticated, Caller
from app.core.processing import Processing

_REMEMBERED_AT_MOST = 10_000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class LastKnown:
    """Bounded memory of callers by credential and of register entries by id, least recently used dropped first."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._callers: OrderedDict[bytes, Authenticated] = OrderedDict()
        self._processings: OrderedDict[str, Processing] = OrderedDict()
        self.forgettings = 0

    def remember_caller(self, digest: bytes, found: Authenticated | None, since: int) -> None:
        """Keep what a credential was found to be; None forgets it.

        Args:
            digest: of the credential.
            found: what it was found to be.
            since: `forgettings` as it was before that was read. If it has grown, the read may have been overtaken by
                what was forgotten: then nothing is kept.

        """
        if found is None:
            self._callers.pop(digest, None)
        elif since == self.forgettings:
            _keep(self._callers, digest, found)

    def caller(self, digest: bytes, at: datetime) -> Caller | None:
        """The caller that a credential belonged to when it was last looked up, if it is still good at an instant."""
        found = self._callers.get(digest)
        if found is None or (found.until is not None and at >= found.until):
            return None
        return found.caller

    def remember_processing(self, identifier: str, processing: Processing | None) -> None:
        """Keep what a register entry was found to be; None forgets it."""
        if processing is None:
            self._processings.pop(identifier, None)
        else:
            _keep(self._processings, identifier, processing)

    def forget_caller(self, identifier: UUID) -> None:
        """A caller was revoked or changed, or one of its keys was: none of its credentials is known any more."""
        self.forgettings += 1
        for digest in [digest for digest, found in self._callers.items() if found.caller.id == identifier]:
            del self._callers[digest]

    def forget_signed_by(self, keys: frozenset[str]) -> None:
        """An issuer has withdrawn these keys: tokens that rest on them are known no more."""
        self.forgettings += 1
        for digest in [digest for digest, found in self._callers.items() if found.signed_by in keys]:
            del self._callers[digest]

    def forget_processings(self) -> None:
        """The register may have changed: what it said before must not outlive a suspension."""
        self._processings.clear()

    def exempt_processing(self, identifier: str) -> Processing | None:
        """The register entry as last read, if its purpose is one of III."""
        processing = self._processings.get(identifier)
        return processing if processing is not None and processing.is_exempt else None


def _keep(memory: OrderedDict[_Key, _Value], key: _Key, value: _Value) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED_AT_MOST:
        memory.popitem(last=False)
