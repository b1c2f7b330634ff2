"""A file that says what the register is to hold: read, and checked before anything is asked or sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import ConfigDict, Field, StrictBool, ValidationError

from app.api.http.problems import fields_of
from app.api.http.wire import ProcessingId, WireModel
from app.api.register.controllers import NewController
from app.api.register.fields import Reason
from app.api.register.models import VersionBody
from app.cli.files import RegisterFileError

ABOUT_A_CHANGE: Final = frozenset({"id", "status", "material", "reason"})
"""What a file says of a processing beside what its version says."""


class WantedProcessing(VersionBody):
    """A processing as it is to be: all that its version says, its status, and how a change to it is to be taken."""

    model_config = ConfigDict(json_schema_extra={"examples": []})

    id: ProcessingId
    status: Literal["active", "suspended", "retired"] | None = Field(
        default=None, description="Left out: as it is; a new one is active"
    )
    material: StrictBool | None = Field(
        default=None, description="Whether consents given before must be asked again, if a version has to be added"
    )
    reason: Reason | None = Field(default=None, description="Why, if a version has to be added")


class WantedRegister(WireModel):
    """What a file says."""

    controllers: list[NewController] = Field(default_factory=list)
    processings: list[WantedProcessing] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RegisterFile:
    """A file that was checked: what it says on the wire, by id."""

    controllers: dict[str, dict[str, Any]]
    processings: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of YAML (JSON is YAML too).

        Raises:
            RegisterFileError: it cannot be read, or something that it says is wrong.

        """
        try:
            said = _plain(yaml.safe_load(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise RegisterFileError(f"{path}: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
            raise RegisterFileError(f"{where}: it is no YAML") from None
        if not isinstance(said, dict):
            raise RegisterFileError(f"{path}: it holds neither controllers nor processings")
        try:
            WantedRegister.model_validate(said)
        except ValidationError as error:
            lines = [f"{path}: {each.field}: {each.message}" for each in fields_of(error)]
            raise RegisterFileError("\n".join(lines)) from None
        return cls(_by_id(path, said.get("controllers") or []), _by_id(path, said.get("processings") or []))


def _by_id(path: Path, listed: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    by_id = {str(each["id"]): each for each in listed}
    if len(by_id) < len(listed):
        raise RegisterFileError(f"{path}: an id stands in it twice")
    return by_id


def _plain(value: Any) -> Any:  # noqa: ANN401 - YAML
    """A value as JSON has it: YAML reads 2026-01-15 as a day."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value
