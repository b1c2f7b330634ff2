"""Each recipe of a deployment keeps what its service and its jobs know on what outlives the process."""

import re
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pytest
import yaml

from app.settings import Settings
from app.settings.required import unprotected
from tests.packaging.wheels import ROOT


class Recipe(NamedTuple):
    """What a recipe sets for the service, and the folders that outlive the process which it starts."""

    settings: dict[str, str]
    lasting: set[str]


def read(path: str) -> Any:
    """A YAML file of the checkout."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def compose(path: str, name: str = "sceau") -> Recipe:
    """A service of a Compose file: its named volumes last."""
    text = read(path)
    service = text["services"][name]
    mounts = [volume.split(":") for volume in service.get("volumes", [])]
    return Recipe(service["environment"], {target for source, target in mounts if source in text["volumes"]})


def systemd(path: str) -> Recipe:
    """A unit: its StateDirectory lasts."""
    text = (ROOT / path).read_text(encoding="utf-8").replace("%S", "/var/lib")
    kept = re.findall(r"^StateDirectory=(\S+)$", text, re.MULTILINE)
    return Recipe(
        dict(re.findall(r"^Environment=(\w+)=(\S+)$", text, re.MULTILINE)), {f"/var/lib/{name}" for name in kept}
    )


def kubernetes(path: str) -> Recipe:
    """A StatefulSet: what its claims are mounted at lasts."""
    spec = read(path)["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    return Recipe(
        {variable["name"]: variable["value"] for variable in container["env"]},
        {mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in claims},
    )


RECIPES = {
    "compose": compose("deploy/compose.yaml"),
    "compose, jobs": compose("deploy/compose.yaml", "worker"),
    "docker-compose": compose("docker-compose.yml"),
    "systemd": systemd("deploy/systemd/sceau-serve.service"),
    "systemd, jobs": systemd("deploy/systemd/sceau-worker.service"),
    "kubernetes": kubernetes("deploy/kubernetes/serve.yaml"),
    "kubernetes, jobs": kubernetes("deploy/kubernetes/worker.yaml"),
}


def lost_with_the_process(recipe: Recipe, here: Path) -> list[str]:
    """What `sceau serve` would say is not on, if only folders that outlive the process counted."""
    kept: dict[str, Any] = {
        name.removeprefix("SCEAU_").lower(): here
        for name, value in recipe.settings.items()
        if value and any(PurePosixPath(value).is_relative_to(folder) for folder in recipe.lasting)
    }
    return [each.what for each in unprotected(Settings(**kept))]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_what_protects(name, tmp_path):
    """By the service's own word nothing is missing, and all of it lies on what outlives the process."""
    assert lost_with_the_process(RECIPES[name], tmp_path) == []


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_that_goes_with_the_process_does_not_count(name, tmp_path):
    """The control: the same settings without the volume protect nothing."""
    assert lost_with_the_process(RECIPES[name]._replace(lasting=set()), tmp_path) == ["journal", "outage file"]
