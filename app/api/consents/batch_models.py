"""Many consents or withdrawals in one request, on the wire."""

from hashlib import sha256
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.api.consents.models import CONSENT_EXAMPLE, ConsentBody, NewConsent, NewWithdrawal, WithdrawalBody
from app.api.http.problems import Problem
from app.api.http.wire import WireModel

MOST: Final = 1_000
"""How many decisions one request may hold."""
_CAROL: Final[dict[str, Any]] = {"type": "user", "id": "carol@example.fr"}
_CAROLS: Final[dict[str, Any]] = {
    **CONSENT_EXAMPLE,
    "subject": _CAROL,
    # A form of her own: one document stands for one person.
    "evidence": {**CONSENT_EXAMPLE["evidence"], "document_sha256": sha256(b"Her form as it was scanned").hexdigest()},
}


def _items(of: type[BaseModel]) -> Any:  # noqa: ANN401 - a type
    """A list whose items are checked one by one, and documented as that model."""
    one = Annotated[Any, WithJsonSchema({"$ref": f"#/components/schemas/{of.__name__}"})]
    return Annotated[list[one], Field(min_length=1, max_length=MOST)]


class ConsentBatch(WireModel):
    """Decisions as `POST /v1/consents` takes them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_CAROLS]}]})

    items: _items(NewConsent)  # type: ignore[valid-type]


class WithdrawalBatch(WireModel):
    """Withdrawals as `POST /v1/withdrawals` takes them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"subject": _CAROL, "processing": CONSENT_EXAMPLE["processing"]}]}]}
    )

    items: _items(NewWithdrawal)  # type: ignore[valid-type]


class ConsentAnswer(BaseModel):
    """What became of one item: the status and the body that it would have been answered alone."""

    status: int
    answer: ConsentBody | None = None
    problem: Problem | None = None


class WithdrawalAnswer(BaseModel):
    """What became of one item: the status and the body that it would have been answered alone."""

    status: int
    answer: WithdrawalBody | None = None
    problem: Problem | None = None


class ConsentAnswers(BaseModel):
    """An answer for each item, in their order."""

    items: list[ConsentAnswer]


class WithdrawalAnswers(BaseModel):
    """An answer for each item, in their order."""

    items: list[WithdrawalAnswer]
