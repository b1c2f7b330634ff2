"""The plain Kubernetes manifests: valid by Kubernetes' own schemas, without privileges, with settings that exist."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests.packaging.wheels import ROOT
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY

MANIFESTS = ROOT / "deploy/kubernetes"
VERSIONS = ("1.28", "1.34", "1.37")
"""The oldest version that the chart declares, and newer ones."""
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(MANIFESTS.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document
]
STATE = "/var/lib/sceau"
PODS = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in DOCUMENTS if "template" in each["spec"]}
CONTAINERS = {name: container for name, pod in PODS.items() for container in pod["containers"]}
FILES = {
    "SCEAU_DATABASE_URL": "postgresql://sceau_app@db/sceau",
    "SCEAU_DATABASE_OWNER_URL": "postgresql://sceau_owner@db/sceau",
    "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
    "SCEAU_MASTER_KEY": MASTER_KEY,
    "SCEAU_BOOTSTRAP_KEY": "k" * 32,
}


def problem(document: dict[str, Any], version: str) -> str:
    """What Kubernetes' schema of that version has against a document; nothing when it is valid."""
    import kubernetes_validate  # reads a grammar for a second, which every worker of the suite would do

    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


def test_there_is_one_of_each_kind_that_production_needs():
    """Migration, service, jobs, their budgets, the autoscaler, the network, the address."""
    assert sorted((each["kind"], each["metadata"]["name"]) for each in DOCUMENTS) == [
        ("HorizontalPodAutoscaler", "sceau-serve"),
        ("Job", f"sceau-migrate-{_version().replace('.', '-')}"),
        ("NetworkPolicy", "sceau"),
        ("NetworkPolicy", "sceau-serve"),
        ("NetworkPolicy", "sceau-worker"),
        ("PodDisruptionBudget", "sceau-serve"),
        ("PodDisruptionBudget", "sceau-worker"),
        ("Service", "sceau"),
        ("StatefulSet", "sceau-serve"),
        ("StatefulSet", "sceau-worker"),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(version):
    """Each document is one that this version of Kubernetes takes, without a member that it does not know."""
    assert [wrong for each in DOCUMENTS if (wrong := problem(each, version))] == []


def test_a_misspelt_member_is_seen():
    """The control: the schema refuses a member that does not exist."""
    (service,) = [each for each in DOCUMENTS if each["kind"] == "Service"]
    assert "portz" in problem({**service, "spec": {**service["spec"], "portz": []}}, VERSIONS[-1])


@pytest.mark.parametrize("name", PODS)
def test_no_pod_has_a_privilege(name):
    """No root, nothing to gain, nothing to write but bounded folders, a bound on memory, no token of the cluster."""
    pod, container = PODS[name], CONTAINERS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert all(set(volume) - {"name"} <= {"secret", "emptyDir"} for volume in pod["volumes"])
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume)


@pytest.mark.parametrize("name", PODS)
def test_kubernetes_sets_no_variable_under_the_prefix(name):
    """A Service called sceau would bring SCEAU_PORT and others into each pod, which Sceau refuses as unknown."""
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", PODS)
def test_the_settings_of_each_pod_are_taken(name, monkeypatch, tmp_path):
    """Sceau itself reads the variables of each container, secrets from files."""
    for left in [left for left in os.environ if left.startswith("SCEAU_")]:
        monkeypatch.delenv(left)
    for variable in CONTAINERS[name]["env"]:
        setting, value = variable["name"], variable["value"]
        secret = setting.removesuffix("_FILE")
        if secret in FILES:
            file = tmp_path / setting
            file.write_text(FILES[secret])
            value = str(file)
        monkeypatch.setenv(setting, value.replace(STATE, str(tmp_path)))
    settings = Settings.load()
    assert settings.database_url is not None
    assert (settings.database_owner_url is not None) == name.startswith("sceau-migrate")


@pytest.mark.parametrize("name", PODS)
def test_secrets_come_as_files_that_are_mounted(name):
    """No secret stands in a variable, and each file that one names lies in a volume of the pod."""
    mounts = {mount["mountPath"] for mount in CONTAINERS[name]["volumeMounts"]}
    for variable in CONTAINERS[name]["env"]:
        assert variable["name"] not in FILES
        if variable["name"].endswith("_FILE"):
            assert str(Path(variable["value"]).parent) in mounts


def test_only_the_migration_sees_the_owner_s_password():
    """The service's pods do not mount the Secret of the schema's owner."""
    owners = {name for name, pod in PODS.items() if any("owner" in str(volume) for volume in pod["volumes"])}
    assert owners == {f"sceau-migrate-{_version().replace('.', '-')}"}


def test_probes_ask_what_there_is():
    """Alive is asked of /livez and ready of /readyz, on the port that the service listens on."""
    container = CONTAINERS["sceau-serve"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]


def selected(selector: dict[str, str]) -> set[str]:
    """The workloads whose pods have these labels."""
    return {
        each["metadata"]["name"].removesuffix(f"-{_version().replace('.', '-')}")
        for each in DOCUMENTS
        if "template" in each["spec"] and selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    }


def test_selectors_find_the_pods_that_they_are_for():
    """The address, the budgets and the rules of the network reach the pods that they are meant for, and no others."""
    everybody = {"sceau-migrate", "sceau-serve", "sceau-worker"}
    by_name = {}
    for each in DOCUMENTS:
        spec, kind = each["spec"], each["kind"]
        chosen = spec.get("podSelector") or spec.get("selector")
        if chosen is not None:
            by_name[kind, each["metadata"]["name"]] = selected(chosen.get("matchLabels", chosen))
    assert by_name == {
        ("Service", "sceau"): {"sceau-serve"},
        ("StatefulSet", "sceau-serve"): {"sceau-serve"},
        ("StatefulSet", "sceau-worker"): {"sceau-worker"},
        ("PodDisruptionBudget", "sceau-serve"): {"sceau-serve"},
        ("PodDisruptionBudget", "sceau-worker"): {"sceau-worker"},
        ("NetworkPolicy", "sceau"): everybody,
        ("NetworkPolicy", "sceau-serve"): {"sceau-serve"},
        ("NetworkPolicy", "sceau-worker"): {"sceau-worker"},
    }


def test_a_selector_that_finds_nothing_is_seen():
    """The control: labels that no pod has select none."""
    assert selected({"app.kubernetes.io/name": "seal"}) == set()


def test_the_autoscaler_alone_decides_how_many_pods_serve():
    """It names the workload, which itself names no number."""
    (scaler,) = [each for each in DOCUMENTS if each["kind"] == "HorizontalPodAutoscaler"]
    target = scaler["spec"]["scaleTargetRef"]
    (serve,) = [
        each for each in DOCUMENTS if (each["kind"], each["metadata"]["name"]) == (target["kind"], target["name"])
    ]
    assert "replicas" not in serve["spec"]


def test_the_chart_has_the_version_of_the_project():
    """Chart and application are one version."""
    chart = yaml.safe_load((ROOT / "deploy/helm/sceau/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (_version(), _version())


def _version() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
