"""The operator's dashboard: `/dashboard`, behind a sign-in with a key of scope `audit:read`."""

from typing import Annotated, Final

from fastapi import Depends, Response

from app.api.http.security import open_to_all
from app.api.http.services import RecorderDep, StampsLogDep
from app.operations.callers.page_sessions import SignInForm
from app.operations.service.show_dashboard import show_dashboard
from app.pages.rendering import page_router, render
from app.pages.service.view import DASHBOARD, dashboard_page
from app.pages.sign_in import Entrance, Visit, add_sign_in

router = page_router()

_visit: Final = add_sign_in(router, Entrance(SignInForm.DASHBOARD, "/dashboard", DASHBOARD))
VisitDep = Annotated[Visit, Depends(_visit)]


@router.get("/dashboard")
@open_to_all
async def show(visit: VisitDep, recorder: RecorderDep, stamps_log: StampsLogDep) -> Response:
    """Show the dashboard to a person whose session is in force; send the others to the sign-in."""
    caller = await visit.signed_in()
    if caller is None:
        return visit.to_the_form()
    shown = await show_dashboard(visit.database, caller, stamps_log=stamps_log)
    page = {**dashboard_page(shown, caller, recorder, visit.language), "proof": visit.proof}
    return render(visit.request, "dashboard.html", visit.language, DASHBOARD, page)
