"""AuthZEN metadata (specification, section 9): where the endpoints are, from SCEAU_PUBLIC_URL and from nothing else.

A Host or forwarding header is whatever a client says: metadata made from it would send other clients elsewhere.
"""

from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.security import open_to_all
from app.api.http.services import SourceDep

WELL_KNOWN: Final = "/.well-known/authzen-configuration"
CAPABILITIES: Final = ("urn:sceau:capability:decision-token", "urn:sceau:capability:text-plain")
"""What Sceau adds to the specification. The IANA registry holds none of them: it is for profiles, these are ours."""
_KEPT: Final = "public, max-age=300"


class Configuration(BaseModel):
    """AuthZEN metadata (9.1). There is no `search_resource_endpoint`: Sceau keeps no correspondences to search."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "policy_decision_point": "https://sceau.example.fr",
                    "access_evaluation_endpoint": "https://sceau.example.fr/access/v1/evaluation",
                    "access_evaluations_endpoint": "https://sceau.example.fr/access/v1/evaluations",
                    "search_subject_endpoint": "https://sceau.example.fr/access/v1/search/subject",
                    "search_action_endpoint": "https://sceau.example.fr/access/v1/search/action",
                    "capabilities": list(CAPABILITIES),
                }
            ]
        }
    )

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_action_endpoint: str
    capabilities: list[str] = Field(description="URNs of what this service offers beyond the specification")


def discovery_router(public_url: str) -> APIRouter:
    """The routes of the metadata: where the well-known part stands between host and path of the public address (9.2).

    An address with a path has two, the second for a proxy that takes the path away.
    """
    router = APIRouter(tags=["operation"])
    path = urlsplit(public_url).path.rstrip("/")
    for each in dict.fromkeys((WELL_KNOWN + path, WELL_KNOWN)):
        router.get(each, summary="Where the AuthZEN endpoints are")(configuration)
    return router


@open_to_all
async def configuration(base: SourceDep, response: Response) -> Configuration:
    """AuthZEN metadata, from SCEAU_PUBLIC_URL alone. Keep it for five minutes."""
    response.headers["Cache-Control"] = _KEPT
    return Configuration(
        policy_decision_point=base,
        access_evaluation_endpoint=f"{base}/access/v1/evaluation",
        access_evaluations_endpoint=f"{base}/access/v1/evaluations",
        search_subject_endpoint=f"{base}/access/v1/search/subject",
        search_action_endpoint=f"{base}/access/v1/search/action",
        capabilities=list(CAPABILITIES),
    )
