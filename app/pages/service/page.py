"""The operator's dashboard: `/dashboard`, behind a sign-in with a key of scope `audit:read`."""

from typing import Annotated, Final

from fastapi import Depends, Response

from app.api.http.security import open_to_all, stop_or_warn
from app.api.http.services import RecorderDep, StaffGateDep, StampsLogDep
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
async def show(visit: VisitDep, gate: StaffGateDep, recorder: RecorderDep, stamps_log: StampsLogDep) -> Response:
    """Show the dashboard to a person whose session is in force; send the others to the sign-in.

    A person who has not acknowledged the staff notice is sent there first, or warned, as SCEAU_STAFF_GATE says.
    """
    caller = await visit.signed_in()
    if caller is None:
        return visit.to_the_form()
    async with visit.database.read() as session:
        aware = await passes_gate(session, gate, caller)
    if not aware:
        try:
            stop_or_warn(visit.request, caller)
        except StaffAcknowledgementRequiredError:
            return visit.to("/staff/notice")
    shown = await show_dashboard(visit.database, caller, stamps_log=stamps_log)
    page = {**dashboard_page(shown, caller, recorder, visit.language), "unaware": not aware}
    return render(visit.request, "dashboard.html", visit.language, DASHBOARD, {**page, "proof": visit.proof})
