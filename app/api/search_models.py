"""The wire models of AuthZEN's search APIs (specification, section 8).

What a search is to ignore (the subject's id in one, the action in the other) is not read at all.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from app.api.access_models import EXAMPLE, Action, Model, Name, Resource, Subject

DEFAULT_LIMIT = 50
MOST = 500


class SearchPage(Model):
    """Which part of the results is wanted (8.2.1)."""

    token: StrictStr = Field(default="", max_length=512, description="`next_token` of the page before")
    limit: Annotated[StrictInt, Field(ge=0)] = Field(
        default=DEFAULT_LIMIT,
        description=f"How many results at most; more than {MOST} counts as {MOST}. 0 asks for none, and for a token "
        "from which to begin",
    )
    properties: dict[str, Any] = Field(default_factory=dict)


class SubjectKind(Model):
    """Subjects of a type; an `id` is ignored."""

    type: Name = Field(examples=["user"])


class SubjectSearchRequest(Model):
    """Which subjects would be permitted? (8.4.1)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "subject": {"type": "user"},
                    "action": {"name": "ads-mail", "properties": {"elements": ["content"]}},
                    "resource": EXAMPLE["resource"],
                    "page": {"limit": 50},
                }
            ]
        }
    )

    subject: SubjectKind
    action: Action
    resource: Resource
    context: dict[str, Any] = Field(default_factory=dict)
    page: SearchPage = SearchPage()


class ActionSearchRequest(Model):
    """Which processings would be permitted? (8.6.1). An `action` is ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"subject": EXAMPLE["subject"], "resource": EXAMPLE["resource"], "page": {"limit": 50}}]
        }
    )

    subject: Subject
    resource: Resource
    context: dict[str, Any] = Field(default_factory=dict)
    page: SearchPage = SearchPage()


class FoundPage(BaseModel):
    """Where a page stands among the others (8.2.2)."""

    next_token: str = Field(description="Sent as `page.token`, it brings the next page; empty after the last one")
    count: int = Field(description="How many results this page has; a page may have none and not be the last")


class FoundSubject(BaseModel):
    """A subject that would be permitted, by the id under which it was recorded."""

    type: str
    id: str


class FoundAction(BaseModel):
    """A processing that would be permitted."""

    name: str


class EveryoneContext(BaseModel):
    """The answer does not depend on who it is: every subject is permitted, and none is listed."""

    everyone: bool
    reason: str
    article: str | None = None


class SubjectsFound(BaseModel):
    """A page of subjects."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "page": {"next_token": "AAAB…", "count": 1},
                    "results": [{"type": "user", "id": "alice@example.fr"}],
                }
            ]
        }
    )

    page: FoundPage
    context: EveryoneContext | None = None
    results: list[FoundSubject]


class ActionsFound(BaseModel):
    """A page of processings."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"page": {"next_token": "", "count": 2}, "results": [{"name": "ads-mail"}, {"name": "spam"}]}]
        }
    )

    page: FoundPage
    results: list[FoundAction]


SEARCH_BODIES = (SubjectSearchRequest, ActionSearchRequest)
