"""The wanted register of a file, and the operations that lead there from the present one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self

import yaml
from pydantic import Field, StrictBool, ValidationError
from yaml.composer import ComposerError

from app.api.http.problems import fields_of
from app.api.http.wire import ProcessingId, WireModel, examples
from app.api.register.controllers import ControllerVersionBody, NewController
from app.api.register.models import Reason, VersionBody
from app.cli.output import GivenFileError, RegisterFileError, given_text

ABOUT_A_CHANGE: Final = frozenset({"id", "status", "material", "reason"})
"""The members by which a file describes a change to a processing; they are no part of its version."""


class WantedProcessing(VersionBody):
    """A processing as the file wants it: its version, its status, and whether a change to it is material."""

    model_config = examples()

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
    """The contents of a file that was checked, in the form of the wire, by id."""

    controllers: dict[str, dict[str, Any]]
    processings: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file of YAML (JSON is YAML too).

        Raises:
            GivenFileError: it cannot be read, is empty, or is no YAML.
            RegisterFileError: its contents are wrong.

        """
        text = given_text(path)
        try:
            contents = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        except Exception as error:  # noqa: BLE001 - PyYAML stumbles in many ways over a value that is none
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
            raise GivenFileError(f"{where}: it is no YAML, or a name stands in it twice") from None
        if not isinstance(contents, dict):
            raise RegisterFileError(f"{path}: it holds neither controllers nor processings")
        try:
            WantedRegister.model_validate(contents)
        except ValidationError as error:
            lines = [f"{path}: {each.field}: {each.message}" for each in fields_of(error)]
            raise RegisterFileError("\n".join(lines)) from None
        return cls(_by_id(path, contents.get("controllers") or []), _by_id(path, contents.get("processings") or []))


def _by_id(path: Path, listed: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    by_id = {str(each["id"]): each for each in listed}
    if len(by_id) < len(listed):
        raise RegisterFileError(f"{path}: an id stands in it twice")
    return by_id


class _Loader(yaml.SafeLoader):
    """Reads YAML safely, and days as the text that they are in JSON.

    A mapping in which a name stands twice is refused, where PyYAML keeps the last.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
        for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - a name, else than its stub has it
        """Compose a mapping as it is written, before others are merged into it (`<<`)."""
        node = super().compose_mapping_node(anchor)
        names: list[object] = []
        for name, _ in node.value:
            if name.value in names:
                raise ComposerError(problem="a name stands twice", problem_mark=name.start_mark)
            names.append(name.value)
        return node


_UNORDERED: Final = frozenset({"elements", "data_recipients", "controllers", "categories_of_persons"})
_LONGEST: Final = 40
"""How many characters of a value a plan shows at most."""
_DEFAULTS: Final = {
    name: field.get_default(call_default_factory=True)
    for name, field in VersionBody.model_fields.items()
    if not field.is_required()
}
"""The values of a version's members that a file leaves out."""


@dataclass(frozen=True, slots=True)
class RegisterStep:
    """One request, in words and as it is sent."""

    summary: str
    method: str
    path: str
    body: Mapping[str, Any] = field(repr=False)


@dataclass(slots=True)
class RegisterPlan:
    """The steps to take, those that wait for a second person, and those that are impossible.

    `not_named`: what the service has, and the file does not name.
    """

    not_named: Sequence[str]
    steps: list[RegisterStep] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PresentRegister:
    """The register as the service gives it: controllers, processings and their versions, by id."""

    controllers: Mapping[str, Mapping[str, Any]]
    processings: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, list[Mapping[str, Any]]]


def plan_of(file: RegisterFile, present: PresentRegister) -> RegisterPlan:
    """The steps from the present register to that of a file. What the file does not name stays as it is."""
    plan = RegisterPlan(sorted(present.processings.keys() - file.processings.keys()))
    both = {**present.controllers, **file.controllers}
    for identifier, wanted in file.controllers.items():
        same = [each for each, other in both.items() if each != identifier and _is_one_person(wanted, other)]
        if same:
            plan.impossible.append(f"controller {identifier}: {same[0]} is the same legal person")
        else:
            _controller(wanted, present.controllers.get(identifier), plan)
    for identifier, wanted in file.processings.items():
        registered = present.processings.get(identifier)
        if registered is None:
            body = {"id": identifier, **_version(wanted)}
            plan.steps.append(
                RegisterStep(f"+ processing {identifier} ({wanted['purpose']})", "POST", "/v1/processings", body)
            )
            if wanted.get("status") not in {None, "active"}:
                _status(identifier, "active", wanted, plan)
        else:
            _processing(wanted, registered, present, plan)
    return plan


def _is_one_person(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two controllers have one SIREN or one LEI."""
    return one.get("identifier") is not None and all(one[name] == other[name] for name in ("kind", "identifier"))


def _controller(wanted: Mapping[str, Any], registered: Mapping[str, Any] | None, plan: RegisterPlan) -> None:
    identifier = wanted["id"]
    body = {name: value for name, value in wanted.items() if name != "id" and value is not None}
    if registered is None:
        plan.steps.append(RegisterStep(f"+ controller {identifier}", "PUT", f"/v1/controllers/{identifier}", body))
        return
    for fixed in ("kind", "identifier"):
        if wanted.get(fixed) != registered.get(fixed):
            plan.impossible.append(f"controller {identifier}: {fixed} never changes: it is another legal person")
            return
    named = ControllerVersionBody.model_fields.keys()
    changes = list(_changes(wanted, registered["versions"][-1], named))
    if changes:
        summary = f"~ controller {identifier}: {'; '.join(changes)}"
        plan.steps.append(RegisterStep(summary, "PUT", f"/v1/controllers/{identifier}", body))


def _processing(
    wanted: Mapping[str, Any], registered: Mapping[str, Any], present: PresentRegister, plan: RegisterPlan
) -> None:
    identifier = str(wanted["id"])
    waits = registered.get("proposed_version")
    versions = [each for each in present.versions[identifier] if each["state"] != "rejected"]
    latest = next((each for each in versions if each["number"] == waits), versions[-1])
    if wanted["purpose"] != registered["purpose"]:
        plan.impossible.append(f"processing {identifier}: its purpose never changes: register another one")
        return
    compared = [name for name in VersionBody.model_fields if name not in {"controller", "purpose"}]
    changes = list(_changes(_with_controllers(wanted, present, latest), latest, compared))
    if registered["status"] == "retired":
        if changes or wanted.get("status") not in {None, "retired"}:
            plan.impossible.append(f"processing {identifier}: it is retired, which is final: register another one")
        return
    if waits is not None:
        if changes:
            plan.impossible.append(
                f"processing {identifier}: version {waits} waits for a second person, and the file says something "
                "else: have it approved or rejected first"
            )
        else:
            plan.waiting.append(f"processing {identifier}: version {waits} waits for a second person's approval")
        return
    if changes and wanted.get("material") is None:
        plan.impossible.append(
            f"processing {identifier}: it differs ({'; '.join(changes)}): say `material: true` if consents given "
            "before must be asked again, else `material: false`"
        )
        return
    if changes:
        kind = "material" if wanted["material"] else "not material"
        body = {**_version(wanted), "material": wanted["material"]}
        body |= {"reason": wanted["reason"]} if wanted.get("reason") else {}
        summary = f"~ processing {identifier}: a new version, {kind}: {'; '.join(changes)}"
        plan.steps.append(RegisterStep(summary, "POST", f"/v1/processings/{identifier}/versions", body))
    _status(identifier, registered["status"], wanted, plan)


def _status(identifier: str, present: str, wanted: Mapping[str, Any], plan: RegisterPlan) -> None:
    status = wanted.get("status")
    if status is not None and status != present:
        summary = f"~ processing {identifier}: status {present} → {status}"
        plan.steps.append(RegisterStep(summary, "PATCH", f"/v1/processings/{identifier}", {"status": status}))


def _version(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in wanted.items() if name not in ABOUT_A_CHANGE}


def _with_controllers(
    wanted: Mapping[str, Any], present: PresentRegister, latest: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The wanted processing with its controllers by id: a legal name means the record that has this name today."""
    if "controllers" in wanted:
        return wanted
    named = {each["legal_name"]: identifier for identifier, each in present.controllers.items()}
    same = [present.controllers.get(each, {}).get("legal_name") for each in latest["controllers"]]
    if same == [wanted["controller"]]:
        return {**wanted, "controllers": latest["controllers"]}
    return {**wanted, "controllers": [named.get(wanted["controller"], wanted["controller"])]}


def _changes(wanted: Mapping[str, Any], registered: Mapping[str, Any], names: Any) -> Iterator[str]:  # noqa: ANN401 - a view
    """The differences, member by member, in a few words."""
    for name in names:
        before, after = _comparable(name, registered), _comparable(name, wanted)
        if name == "data_recipients" and after is None:
            after = sorted(each["name"] for each in wanted.get("recipients") or ())
        if before != after:
            yield f"{name} {_short(before)} → {_short(after)}"


def _comparable(name: str, members: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    value = members.get(name, _DEFAULTS.get(name))
    if name in _UNORDERED and value is not None:
        return sorted(value)
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if each is not None} or None
    return value if value != [] else None


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
