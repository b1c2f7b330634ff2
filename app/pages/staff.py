"""The staff's page: the notice, its acknowledgement, and the words around them."""

from typing import Annotated, Any, Final

from fastapi import Depends, Response

from app.api.http.security import open_to_all
from app.api.http.services import WriterDep
from app.auth.callers import Caller
from app.core.errors import FormNotOursError, NotFoundError, TextChangedError
from app.core.staff import Notice, NoticeUnfinishedError, lacking, standing
from app.operations.service.page_sessions import CONSOLE_SCOPES, SignInForm
from app.operations.staff import OwnStanding, Shown, acknowledge_notice, read_own_standing
from app.pages.dates import day, moment
from app.pages.rendering import page_router, render
from app.pages.sign_in import Entrance, Visit, add_sign_in
from app.staff import AcknowledgementMethod
from app.words import Catalogue, Language

STAFF: Final = Catalogue("staff_page")


def blocks_of(body: str) -> list[tuple[str, tuple[str, ...]]]:
    """The blocks of a body, parted by blank lines: the kind of each (`heading`, `list`, `paragraph`), and its lines.

    `# ` heads, `- ` on each line lists, all else is a paragraph.
    """
    blocks: list[tuple[str, tuple[str, ...]]] = []
    for part in body.replace("\r\n", "\n").split("\n\n"):
        lines = tuple(line.strip() for line in part.split("\n") if line.strip())
        if not lines:
            continue
        if len(lines) == 1 and lines[0].startswith("# "):
            blocks.append(("heading", (lines[0].removeprefix("# "),)))
        elif all(line.startswith("- ") for line in lines):
            blocks.append(("list", tuple(line.removeprefix("- ") for line in lines)))
        else:
            blocks.append(("paragraph", (" ".join(lines),)))
    return blocks


def notice_page(notice: Notice, own: OwnStanding, who: Caller, language: Language) -> dict[str, Any]:
    """The context of `staff_notice.html`."""
    written_in, text = notice.text(language.value)
    return {
        "title": text.title,
        "written_in": written_in,
        "blocks": blocks_of(text.body),
        "number": notice.number,
        "published": day(notice.published_at, language),
        "sha256": text.sha256,
        "unfinished": bool(lacking(notice.texts)),
        "standing": standing(notice.number, own.acknowledged).value,
        "acknowledged_at": moment(own.acknowledged_at, language) if own.acknowledged_at is not None else None,
        "signed_in_as": who.name,
        "console": not CONSOLE_SCOPES.isdisjoint(who.scopes),
    }


router = page_router()

# The staff notice, for a person signed in: `/staff/notice` shows it and records one press of a button.
# It needs a sign-in with the key of a person, which may have any scopes (`app.pages.sign_in`).

_visit: Final = add_sign_in(router, Entrance(SignInForm.STAFF_NOTICE, "/staff/notice", STAFF))
VisitDep = Annotated[Visit, Depends(_visit)]
_MOST_DIGITS: Final = 6


@router.get("/staff/notice")
@open_to_all
async def show(visit: VisitDep) -> Response:
    """Show the notice of today, and whether this person acknowledged it; without a session, the sign-in."""
    who = await visit.signed_in()
    return visit.to_the_form() if who is None else await _page(visit, who.caller)


@router.post("/staff/notice")
@open_to_all
async def acknowledge(visit: VisitDep, writer: WriterDep) -> Response:
    """Record that this person took note of the text that was shown, then show the page again (RFC 9110, 303)."""
    who = await visit.signed_in()
    if who is None:
        return visit.to_the_form()
    sent = await visit.own_form({"notice", "language", "sha256"})
    number = sent["notice"]
    if not (number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS):
        raise FormNotOursError
    shown = Shown(int(number), sent["language"], sent["sha256"])
    try:
        async with writer.write() as session:
            await acknowledge_notice(session, who.caller, shown, AcknowledgementMethod.PAGE)
    except (TextChangedError, NoticeUnfinishedError):
        return await _page(visit, who.caller, changed=True)
    return visit.to("/staff/notice")


async def _page(visit: Visit, caller: Caller, *, changed: bool = False) -> Response:
    async with visit.database.read() as session:
        own = await read_own_standing(session, caller)
    if own.notice is None:
        raise NotFoundError
    page = {**notice_page(own.notice, own, caller, visit.language), "changed": changed, "proof": visit.proof}
    return render(visit.request, "staff_notice.html", visit.language, STAFF, page, 409 if changed else 200)
