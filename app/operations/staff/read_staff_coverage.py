"""Who of the staff knows the obligations of today: acknowledged, outdated, missing, left."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.auth.callers import Caller
from app.auth.store import list_persons
from app.core.errors import NotFoundError
from app.core.staff.completeness import lacking
from app.core.staff.coverage import Notice, NoticeStanding, standing
from app.core.staff.rotations import KeyMade, rotated_by_other
from app.db.session import ReadSession
from app.ledger.vault import Vault
from app.operations.staff.doubtful import MarkedAcknowledgement, keys_made, tell_acknowledgements
from app.operations.staff.members import open_name
from app.staff.notices import load_notices
from app.staff.records import LatestKnown, Member
from app.staff.store import latest_of_each, load_acknowledgements, load_members, load_names


@dataclass(frozen=True, slots=True)
class Covered:
    """One member: how they stand, and the latest version that they acknowledged.

    `name` None: it was erased. `access`: whether it is a person with access to the API. `rotated_by_other`: whether
    somebody else rotated their key within the week before they acknowledged.
    """

    id: UUID
    name: str | None
    access: bool
    standing: NoticeStanding
    acknowledged: int | None
    acknowledged_at: datetime | None
    rotated_by_other: bool
    left_at: datetime | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """Everybody, by id (oldest first), as against the notice of today.

    Paper counts for those alone who have no access: the others read and acknowledge themselves. An
    acknowledgement of a version that leaves out what staff must be told counts for nobody.
    """

    notice: Notice
    members: Sequence[Covered]

    @property
    def counts(self) -> Mapping[NoticeStanding, int]:
        """How many stand how; each standing is there."""
        counted = Counter(each.standing for each in self.members)
        return {each: counted[each] for each in NoticeStanding}

    @property
    def rotated_by_other(self) -> int:
        """How many know the notice of today by an acknowledgement that somebody else could have made."""
        return sum(each.rotated_by_other and each.standing is NoticeStanding.ACKNOWLEDGED for each in self.members)


async def read_staff_coverage(session: ReadSession, vault: Vault | None = None) -> Coverage:
    """The coverage of today; with the vault, the names too.

    Raises:
        NotFoundError: there is no notice.

    """
    notices = await load_notices(session)
    if not notices:
        raise NotFoundError
    notice, complete = notices[-1], {each.number for each in notices if not lacking(each.texts)}
    members, persons = await load_members(session), {each.id: each for each in await list_persons(session)}
    latest = await latest_of_each(session, complete, own=False)
    own = await latest_of_each(session, complete, own=True)
    with_access = {each.id for each in persons.values() if each.revoked_at is None}
    names = await load_names(session) if vault is not None else {}
    keys = await keys_made(session, persons)
    opened = {} if vault is None else {member: open_name(vault, member, sealed) for member, sealed in names.items()}
    everybody = sorted(members.keys() | persons.keys())
    return Coverage(
        notice,
        [
            _covered(
                each,
                notice.number,
                members.get(each),
                persons.get(each),
                (own if each in with_access else latest).get(each),
                opened.get(each),
                keys.get(each, ()),
            )
            for each in everybody
        ],
    )


def _covered(  # noqa: PLR0917 - what is known of one member
    identifier: UUID,
    current: int,
    member: Member | None,
    person: Caller | None,
    latest: LatestKnown | None,
    name: str | None,
    keys: Sequence[KeyMade],
) -> Covered:
    left_at = member.left_at if member is not None else None
    if left_at is None and person is not None:
        left_at = person.revoked_at
    version = latest.notice if latest is not None else None
    return Covered(
        id=identifier,
        name=name or (person.name if person is not None else None),
        access=person is not None,
        standing=standing(current, version, left=left_at is not None),
        acknowledged=version,
        acknowledged_at=latest.acknowledged_at if latest is not None else None,
        rotated_by_other=latest is not None
        and latest.way.is_own
        and rotated_by_other(identifier, keys, latest.acknowledged_at),
        left_at=left_at,
    )


async def read_acknowledgements(session: ReadSession, member: UUID) -> Sequence[MarkedAcknowledgement]:
    """What one member acknowledged, by version."""
    return await tell_acknowledgements(session, await load_acknowledgements(session, member))
