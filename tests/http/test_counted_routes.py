"""Every route behind a key is counted by a quota, or is on a list that says why not."""

from fastapi.routing import iter_route_contexts

from app.api.http.security import Needs, guarded_inside, scopes_by_route
from app.auth.callers import Scope

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"

NOT_COUNTED = {
    ("POST", "/v1/withdrawals"): "taking back is as easy as giving",
    ("POST", "/v1/withdrawals/batch"): "the same, for many",
    ("POST", "/v1/consents/batch"): "counted by item",
    ("POST", "/v1/subjects/closures"): "the same, for all of a person's consents",
    ("POST", "/v1/subjects/erasures"): "the same, and the person's right",
    ("POST", "/v1/subjects/links"): "a no by one name ends consents by the other; a name taken away permits nothing",
    ("POST", "/v1/subjects/mailboxes"): "whoever holds a mailbox may keep others from consenting for all",
    ("POST", "/v1/subjects/ages"): "an age may end consents, as a withdrawal does",
    ("POST", ONE): "counted by question, exempt ones never",
    ("POST", MANY): "counted by question, exempt ones never",
}
"""Routes behind a key that no quota counts by the request, each with why."""


def _counts(dependant):
    """Whether a dependency of a route counts it."""
    if isinstance(dependant.call, Needs):
        return dependant.call.counted is not None
    return any(_counts(each) for each in dependant.dependencies)


def _uncounted(app):
    """The routes behind a key that nothing counts."""
    behind = {route for route, scopes in scopes_by_route(app).items() if scopes is not None}
    counted = {
        (method, context.path)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if _counts(context.dependant)
    }
    return behind - counted


def test_every_route_behind_a_key_is_counted_or_explained(api):
    """A new route is counted by the scope that it names; one that is not is on a list that says why."""
    assert _uncounted(api.client.app) == set(NOT_COUNTED)


def test_a_route_that_nothing_counts_is_seen(api):
    """Control: a route that finds its caller itself is not counted, and is named."""

    @guarded_inside(Scope.DECISIONS_SEARCH)
    async def surprise() -> None:
        """Do nothing."""

    api.client.app.post("/v1/surprise")(surprise)
    assert _uncounted(api.client.app) == {*NOT_COUNTED, ("POST", "/v1/surprise")}
