import inspect
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.routing import iter_route_contexts

from app import main
from app.api.http.services import DatabaseDep, ServicesDep, all_services

IN_A_THREAD = {"/openapi.json", "/docs/everyday.json"}
"""Answers that take a second to make: decisions are answered meanwhile."""
TAKES_ALL = {
    ("/staff/sign-in", "POST"),
    ("/readyz", "GET"),
    ("/metrics", "GET"),
}


def whole(routes) -> set[tuple[str, str]]:
    """The routes that take the whole of the services, in their signatures or by what these depend on."""
    return {
        (context.path or "", method)
        for context in iter_route_contexts(routes)
        for method in context.methods or ()
        if takes_all(context.dependant)
    }


def takes_all(dependant) -> bool:
    """Whether a dependency is the whole of the services, or has one that is."""
    return dependant.call is all_services or any(takes_all(each) for each in dependant.dependencies)


def test_a_route_names_the_parts_that_it_uses():
    """No route takes the whole of the services, except those listed and those of the console.

    An act of the console may need any part, so its one route takes them all.
    """
    routes = whole(main._ROUTES)
    assert {route for route in routes if not route[0].startswith("/console/") and route[0] != "/console"} == TAKES_ALL
    assert ("/console/acts/{name}", "POST") in routes


def test_a_route_that_takes_everything_is_found():
    """Control: of two routes, the one that asks for the services is found, and the one that asks for a part is not."""
    router = APIRouter()

    @router.get("/whole")
    async def all_of_it(services: ServicesDep) -> None:
        """Take everything."""

    @router.get("/part")
    async def one_of_it(database: DatabaseDep) -> None:
        """Take the database."""

    assert whole(router.routes) == {("/whole", "GET")}


def threaded(routes) -> set[str]:
    """The paths of which a function runs in a thread: the route's own, or one that it depends on."""
    return {context.path or "" for context in iter_route_contexts(routes) if in_a_thread(context.dependant)}


def in_a_thread(dependant) -> bool:
    """Whether FastAPI calls a function, or one that it depends on, in a thread."""
    call = dependant.call
    awaited = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)
    return not awaited or any(in_a_thread(each) for each in dependant.dependencies)


def test_no_request_runs_in_a_thread():
    """No route needs a thread, which costs a write a twelfth of its time, except for the API page's documents."""
    assert threaded(main._ROUTES) == IN_A_THREAD


def test_a_function_that_runs_in_a_thread_is_found():
    """Control: of two routes, the one that depends on a function that is no coroutine is found."""
    router = APIRouter()

    def plain() -> int:
        return 1

    @router.get("/thread")
    async def by_a_thread(number: Annotated[int, Depends(plain)]) -> None:
        """Depend on it."""

    @router.get("/loop")
    async def by_the_loop(database: DatabaseDep) -> None:
        """Depend on a coroutine."""

    assert threaded(router.routes) == {"/thread"}
