"""The staff notice, for a person signed in: `/staff/notice` shows it and records one press of a button.

Behind a sign-in with the key of a person, whatever its scopes (`app.pages.sign_in`).
"""

from typing import Annotated, Final

from fastapi import Depends, Response

from app.api.http.security import open_to_all
from app.api.http.services import WriterDep
from app.auth.callers import Caller
from app.core.errors import FormNotOursError, NotFoundError, TextChangedError
from app.core.staff import NoticeUnfinishedError
from app.operations.callers.page_sessions import SignInForm
from app.operations.staff.coverage import read_own_standing
from app.operations.staff.notices import Shown, acknowledge_notice
from app.pages.rendering import page_router, render
from app.pages.sign_in import Entrance, Visit, add_sign_in
from app.pages.staff.view import notice_page
from app.pages.staff.words import STAFF
from app.staff import AcknowledgementMethod

router = page_router()

_visit: Final = add_sign_in(router, Entrance(SignInForm.STAFF_NOTICE, "/staff/notice", STAFF))
VisitDep = Annotated[Visit, Depends(_visit)]
_MOST_DIGITS: Final = 6


@router.get("/staff/notice")
@open_to_all
async def show(visit: VisitDep) -> Response:
    """Show the notice of today, and whether this person acknowledged it; without a session, the sign-in."""
    caller = await visit.signed_in()
    return visit.to_the_form() if caller is None else await _page(visit, caller)


@router.post("/staff/notice")
@open_to_all
async def acknowledge(visit: VisitDep, writer: WriterDep) -> Response:
    """Record that this person took note of the text that was shown, then show the page again (RFC 9110, 303)."""
    caller = await visit.signed_in()
    if caller is None:
        return visit.to_the_form()
    sent = await visit.own_form({"notice", "language", "sha256"})
    number = sent["notice"]
    if not (number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS):
        raise FormNotOursError
    shown = Shown(int(number), sent["language"], sent["sha256"])
    try:
        async with writer.write() as session:
            await acknowledge_notice(session, caller, shown, AcknowledgementMethod.PAGE)
    except (TextChangedError, NoticeUnfinishedError):
        return await _page(visit, caller, changed=True)
    return visit.to("/staff/notice")


async def _page(visit: Visit, caller: Caller, *, changed: bool = False) -> Response:
    async with visit.database.read() as session:
        own = await read_own_standing(session, caller)
    if own.notice is None:
        raise NotFoundError
    page = {**notice_page(own.notice, own, caller, visit.language), "changed": changed, "proof": visit.proof}
    return render(visit.request, "staff_notice.html", visit.language, STAFF, page, 409 if changed else 200)
