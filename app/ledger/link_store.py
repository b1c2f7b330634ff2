"""Links to the consent page, the forms sent through them, the texts that were shown, and where a link may lead back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final
from unicodedata import normalize
from uuid import UUID

from pydantic import HttpUrl, TypeAdapter, ValidationError
from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    RowMapping,
    Table,
    Text,
    Uuid,
    delete,
    exists,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert

from app.core.article import FRANCE
from app.core.consent import AgeBand, EventKind, GivenBy
from app.core.consent_link import Authentication, LinkKind
from app.db.schema import Instant, metadata, one_of
from app.db.session import ReadSession, WriteSession, as_columns, record_of
from app.ledger.tables import consent

# The tables of the consent page: links (their tokens only as hashes), the forms sent through them, and texts shown.
# They hold no identifier: a link knows its subject by pseudonym. A form's row makes a submission count only once.

consent_link = Table(
    "consent_link",
    metadata,
    Column("token_sha256", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("subject_ref", LargeBinary, ForeignKey("subject.subject_ref", ondelete="RESTRICT"), nullable=False),
    # The name of the person for which it was made: the link opens nothing once the name is another person's.
    Column("name", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("processings", ARRAY(Text), nullable=False),
    Column("authentication", Text, nullable=False),
    Column("by_person", Boolean, nullable=False),
    Column("age_band", Text),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("ledger_order", Integer, nullable=False),
    # The credential by which its maker was known.
    Column("credential", Uuid, nullable=False),
    # Where the page lets people return to after an answer; its origin was listed when the link was made.
    Column("return_to", Text),
    # Only of a joint link: the side whose act it records.
    Column("given_by", Text),
    # Only of a parent's link: the parent's reference in the ledger, and how their responsibility was checked.
    Column("parent_ref", LargeBinary),
    Column("parent_checked_how", Text),
    Column("territory", Text, nullable=False),
    CheckConstraint("octet_length(token_sha256) = 32", name="token_length"),
    CheckConstraint("(cardinality(processings) = 0) = (kind = 'overview')", name="some_processing"),
    CheckConstraint("expires_at > created_at", name="lasts"),
    CheckConstraint("given_by IN ('self', 'holder_of_parental_responsibility')", name="given_by"),
    CheckConstraint("(kind = 'joint') = (given_by IS NOT NULL)", name="joint_has_a_side"),
    CheckConstraint(
        "(given_by IS NOT DISTINCT FROM 'holder_of_parental_responsibility') = (parent_ref IS NOT NULL)"
        " AND (parent_ref IS NULL) = (parent_checked_how IS NULL)",
        name="who_the_parent_is",
    ),
    one_of("kind", LinkKind),
    one_of("authentication", Authentication),
    one_of("age_band", AgeBand),
    Index("ix_consent_link_expires_at", "expires_at"),
)

consent_form = Table(
    "consent_form",
    metadata,
    Column("token_sha256", LargeBinary, ForeignKey("consent_link.token_sha256", ondelete="CASCADE"), nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("press", Text, nullable=False),
    Column("sent_at", Instant, nullable=False),
    PrimaryKeyConstraint("token_sha256", "nonce", "press"),
    CheckConstraint("octet_length(nonce) = 16", name="nonce_length"),
)

presented_text = Table(
    "presented_text",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("text", Text, nullable=False),
    Column("kept_at", Instant, nullable=False),
    CheckConstraint("sha256 = sha256(convert_to(text, 'UTF8'))", name="is_its_hash"),
)


@dataclass(frozen=True, slots=True)
class ConsentLink:
    """One link as kept. `token_sha256` stands for the token, which is not kept; `by_person`: the person asked for it.

    `name` is the name of the person for which it was made; once that name is another person's, the link opens nothing.
    `ledger_order` is that of the subject's last event when the link was made (0 for none); later events have a higher
    one. `credential` is the key by which `created_by` was known, or `created_by` itself if known by a token.
    `return_to` is where the page lets the person return to. `given_by` is the side whose act a link of kind `joint`
    records; None for other kinds. `territory` is where the consents that it asks for are collected. `parent_ref` is the
    ledger's reference for the parent whose link it is, and `parent_checked_how` says how parental responsibility was
    checked.
    """

    token_sha256: bytes
    id: UUID
    subject_ref: bytes
    name: UUID
    kind: LinkKind
    processings: tuple[str, ...]
    authentication: Authentication
    by_person: bool
    age_band: AgeBand | None
    created_at: datetime
    created_by: UUID
    expires_at: datetime
    ledger_order: int
    credential: UUID
    return_to: str | None = None
    given_by: GivenBy | None = None
    territory: str = FRANCE
    parent_ref: bytes | None = None
    parent_checked_how: str | None = None


def token_digest(token: str) -> bytes:
    """Return the SHA-256 of a token, which is what is stored. A token is random: it needs no salt and no slow hash."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def text_digest(text: str) -> bytes:
    """Return the SHA-256 of a text in UTF-8."""
    return sha256(text.encode()).digest()


async def add_link(session: WriteSession, link: ConsentLink) -> None:
    """Keep a new link."""
    await session.execute(insert(consent_link).values(as_columns(link)))


async def find_link(session: ReadSession, token_sha256: bytes) -> ConsentLink | None:
    """Return the link whose token has that hash, even if it has expired; None when there is none."""
    row = (await session.execute(select(consent_link).where(consent_link.c.token_sha256 == token_sha256))).first()
    return None if row is None else record_of(ConsentLink, row)


async def links_of(session: ReadSession, ref: bytes) -> Sequence[RowMapping]:
    """Return every link that was made for a person and is kept, oldest first, without what would open it."""
    names = ("id", "kind", "processings", "authentication", "age_band", "given_by", "created_at", "created_by")
    columns = [consent_link.c[name] for name in (*names, "expires_at")]
    rows = select(*columns).where(consent_link.c.subject_ref == ref).order_by(consent_link.c.created_at)
    return (await session.execute(rows)).mappings().all()


async def claim_form(
    session: WriteSession, token_sha256: bytes, nonce: bytes, press: str, at: datetime
) -> frozenset[str]:
    """Note that a button of a form (its nonce: 16 bytes) was pressed; return those that were pressed before."""
    mine = (consent_form.c.token_sha256 == token_sha256) & (consent_form.c.nonce == nonce)
    before = (await session.execute(select(consent_form.c.press).where(mine))).scalars().all()
    row = {"token_sha256": token_sha256, "nonce": nonce, "press": press, "sent_at": at}
    await session.execute(insert(consent_form).values(row).on_conflict_do_nothing())
    return frozenset(before)


async def count_forms(session: ReadSession, token_sha256: bytes, *, since: datetime) -> int:
    """Return how many forms were sent through a link since an instant."""
    mine = (consent_form.c.token_sha256 == token_sha256) & (consent_form.c.sent_at > since)
    return int((await session.execute(select(func.count()).select_from(consent_form).where(mine))).scalar_one())


async def last_form(session: ReadSession, token_sha256: bytes) -> datetime | None:
    """Return when the last form was recorded through a link; None when there was none."""
    statement = select(func.max(consent_form.c.sent_at)).where(consent_form.c.token_sha256 == token_sha256)
    sent_at: datetime | None = (await session.execute(statement)).scalar_one()
    return sent_at


async def keep_text(session: WriteSession, text: str, at: datetime) -> None:
    """Keep a text that was shown, under its hash; a text that is already kept is not changed."""
    row = {"sha256": text_digest(text), "text": text, "kept_at": at}
    await session.execute(insert(presented_text).values(row).on_conflict_do_nothing())


async def find_text(session: ReadSession, digest: bytes) -> str | None:
    """Return the text that was shown and has that SHA-256; None when there is none."""
    return (await find_texts(session, [digest])).get(digest)


async def find_texts(session: ReadSession, digests: Collection[bytes]) -> dict[bytes, str]:
    """Return the texts that were shown and have those SHA-256, by hash; texts that are not kept are left out."""
    if not digests:
        return {}
    kept = select(presented_text.c.sha256, presented_text.c.text).where(presented_text.c.sha256.in_(digests))
    return {bytes(row.sha256): row.text for row in await session.execute(kept)}


_HOLDS: Final = text(r"""
SELECT EXISTS (SELECT FROM presented_text WHERE position(:text IN regexp_replace(text, '\s+', ' ', 'g')) > 0)
    -- Whoever presses a button just now, and is not recorded yet, has a link.
    OR EXISTS (SELECT FROM consent_link WHERE :processing = ANY(processings))
""")


async def may_be_within_texts_shown(session: ReadSession, presented: str, processing: str) -> bool:
    """Return whether a text that the page showed contains this one, white space apart, or a link may still show it."""
    wanted = " ".join(normalize("NFC", presented).split())
    return bool((await session.execute(_HOLDS, {"text": wanted, "processing": processing})).scalar_one())


async def remove_ended_links(session: WriteSession, *, at: datetime, answered_before: datetime, limit: int) -> int:
    """Remove some expired links through which nothing can be withdrawn any more; return how many.

    A link stays if a form was recorded through it at `answered_before` or later. Only one transaction at a time removes
    links: a second one that runs meanwhile removes none.
    """
    if not await session.take_turn("ended links"):
        return 0
    open_consent = exists().where(
        consent.c.subject_ref == consent_link.c.subject_ref,
        consent.c.processing == func.any(consent_link.c.processings),
        consent.c.decision == EventKind.GRANTED.value,
        consent.c.ended_by.is_(None),
        consent.c.expires_at > at,
    )
    shown = exists().where(
        consent_form.c.token_sha256 == consent_link.c.token_sha256, consent_form.c.sent_at >= answered_before
    )
    ended = select(consent_link.c.token_sha256).where(consent_link.c.expires_at < at, ~open_consent, ~shown)
    some = ended.order_by(consent_link.c.expires_at).limit(limit)
    gone = delete(consent_link).where(consent_link.c.token_sha256.in_(some.scalar_subquery()))
    return len((await session.execute(gone.returning(consent_link.c.token_sha256))).all())


# Where the consent page may send people back to: addresses of origins that the operator has listed, and of no other.
# Addresses are parsed by pydantic's URL type, which follows the URL Living Standard as browsers do, so that what is
# checked is what a browser would open. An origin is scheme, host and port (RFC 6454); it is compared whole.

Origins = frozenset[str]

_URL: Final = TypeAdapter(HttpUrl)
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})


def parse_origins(text: str) -> Origins:
    """Origins separated by commas: `https://mail.example.fr,https://www.example.fr:8443`.

    Raises:
        ValueError: one is not an origin, or neither https nor of this machine.

    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    urls = [_parsed(part) for part in parts]
    if any(url is None or url.path not in {None, "/"} or url.query is not None or url.fragment for url in urls):
        raise ValueError
    return frozenset(_origin(url) for url in urls if url is not None)


def listed_address(address: str, origins: Origins) -> str | None:
    """Return an address as it is kept, if its origin is listed; None for anything else."""
    url = _parsed(address)
    kept = str(url) if url is not None and _origin(url) in origins else None
    return kept if listed_host(kept, origins) is not None else None  # percent-encoded, it may have become too long


def listed_host(address: str | None, origins: Origins) -> str | None:
    """Return the host of a kept address, as people are shown it; None without one, or if its origin is not listed."""
    url = _parsed(address) if address is not None else None
    return url.host if url is not None and _origin(url) in origins else None


def _parsed(address: str) -> HttpUrl | None:
    try:
        url = _URL.validate_python(address)
    except ValidationError:
        return None
    if url.username is not None or url.password is not None:
        return None
    safe = url.scheme == "https" or (url.scheme == "http" and url.host in _LOOPBACK)
    return url if safe else None


def _origin(url: HttpUrl) -> str:
    return f"{url.scheme}://{url.host}:{url.port}"
