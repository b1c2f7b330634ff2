"""The operator's dashboard: `/dashboard`, behind a sign-in with a key of scope `audit:read`."""

from typing import Annotated, Final

from fastapi import Depends, Response

from app.api.http.security import open_to_all, stop_or_warn
from app.core.errors import StaffAcknowledgementRequiredError
from app.operations.callers.page_sessions import SignInForm
from app.operations.service.show_dashboard import show_dashboard
from app.operations.staff.gate import passes_gate
from app.pages.rendering import page_router, render
from app.pages.service.view import dashboard_page
from app.pages.service.words import DASHBOARD
from app.pages.sign_in import Entrance, Visit, add_sign_in

router = page_router()

_visit: Final = add_sign_in(router, Entrance(SignInForm.DASHBOARD, "/dashboard", DASHBOARD))
VisitDep = Annotated[Visit, Depends(_visit)]


@router.get("/dashboard")
@open_to_all
async def show(visit: VisitDep) -> Response:
    """The dashboard for who is signed in, as long as their key is in force; the sign-in for everybody else.

    A person who has not acknowledged the staff notice goes there first, or is told so, as SCEAU_STAFF_GATE says.
    """
    caller = await visit.signed_in()
    if caller is None:
        return visit.to_the_form()
    services = visit.services
    async with services.database.read() as session:
        aware = await passes_gate(session, services.staff_gate, caller)
    if not aware:
        try:
            stop_or_warn(visit.request, caller)
        except StaffAcknowledgementRequiredError:
            return visit.to("/staff/notice")
    shown = await show_dashboard(services.database, caller)
    page = {**dashboard_page(shown, caller, services.recorder, visit.language), "unaware": not aware}
    return render(visit.request, "dashboard.html", visit.language, DASHBOARD, {**page, "proof": visit.proof})
