"""What decisions look like in the OpenAPI document (AuthZEN 5.5 and 7.2), and what searches answer (8.2 to 8.6)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class DecisionContext(BaseModel):
    """Why: the reason, what it cites and rests on, and a sentence for the user."""

    model_config = ConfigDict(extra="allow")

    id: str | None = Field(default=None, description="The id of this decision")
    reason: str | None = None
    article: str | None = None
    law_version: str | None = None
    consent: str | None = Field(default=None, description="The consent that the decision rests on")
    expires_at: str | None = None
    valid_until: str | None = Field(default=None, description="A permit under IV must not be used from this instant on")
    reason_user: dict[str, str] | None = None
    reason_admin: dict[str, str] | None = Field(
        default=None, description="For whoever runs the caller: what the question left unsaid, so that it was denied"
    )
    decision_token: str | None = Field(
        default=None, description="A compact JWS of this permit, where the request's context asked for one"
    )
    error: dict[str, Any] | None = None


class DecisionResponse(BaseModel):
    """One answer (AuthZEN 5.5). Anything but `true` means: do not analyse."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "decision": False,
                    "context": {
                        "id": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
                        "reason": "no_consent",
                        "article": "L32-3 IV",
                        "law_version": "2025-07-02",
                        "reason_user": {"fr": "Vous n'avez pas donné…", "en": "You have not consented…"},
                    },
                }
            ]
        }
    )

    decision: bool
    context: DecisionContext | None = None


class DecisionsResponse(BaseModel):
    """The answers to a batch, in the order of its items."""

    evaluations: list[DecisionResponse]


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
