"""The operator's dashboard: `/dashboard`, behind a sign-in with a key of scope `audit:read`."""

from typing import Annotated, Final

from fastapi import Depends, Request, Response

from app.api.security import open_to_all, stop_or_warn
from app.api.services import ServicesDep
from app.core.errors import StaffAcknowledgementRequiredError
from app.operations.page_sessions import Door
from app.operations.show_dashboard import show_dashboard
from app.operations.staff_gate import passes_gate
from app.pages.dashboard_view import dashboard_page
from app.pages.dashboard_words import DASHBOARD
from app.pages.languages import LanguageDep
from app.pages.rendering import page_router, render
from app.pages.signing_in import Entrance, Visit

router = page_router()

_ENTRANCE: Final = Entrance(Door.DASHBOARD, "/dashboard/sign-in", "/dashboard", DASHBOARD)


def _visit(request: Request, language: LanguageDep, services: ServicesDep) -> Visit:
    return Visit(request, services, language, _ENTRANCE)


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


@router.get("/dashboard/sign-in")
@open_to_all
async def ask(visit: VisitDep) -> Response:
    """The form that asks for a key."""
    return visit.form()


@router.post("/dashboard/sign-in")
@open_to_all
async def sign_in(visit: VisitDep) -> Response:
    """Begin a session, and go to the dashboard."""
    return await visit.sign_in()


@router.post("/dashboard/sign-out")
@open_to_all
async def sign_out(visit: VisitDep) -> Response:
    """End the session."""
    return await visit.sign_out()
