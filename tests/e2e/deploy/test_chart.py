"""The Helm chart, rendered by Helm's own engine, and the plain manifests that are committed beside it."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.deploy.helm import CHART, MANIFESTS, make_helm, render


@pytest.fixture(scope="module")
def helm(tmp_path_factory) -> Path:
    """Helm's engine in an environment of its own."""
    return make_helm(tmp_path_factory.mktemp("helm") / "venv")


def committed() -> dict[str, str]:
    """The plain manifests of the checkout."""
    return {path.name: path.read_text(encoding="utf-8") for path in MANIFESTS.glob("*.yaml")}


def test_the_manifests_are_what_helm_renders(helm):
    """Every committed file is the chart's with its own values, word for word, and there is no other."""
    rendered = render(helm)
    assert rendered["linted"]["errors"] == []
    assert rendered["files"] == committed()


def test_a_changed_chart_is_seen(helm, tmp_path):
    """The control: another value renders another manifest."""
    changed = tmp_path / "sceau"
    shutil.copytree(CHART, changed)
    values = (changed / "values.yaml").read_text()
    assert "bootstrapKey: true" in values
    (changed / "values.yaml").write_text(values.replace("bootstrapKey: true", "bootstrapKey: false"))
    differing = {name for name, text in render(helm, changed)["files"].items() if text != committed()[name]}
    assert differing == {"serve.yaml"}


def test_a_digest_wins_over_a_tag(helm, tmp_path):
    """Who names the image by its digest gets no tag beside it."""
    changed = tmp_path / "sceau"
    shutil.copytree(CHART, changed)
    digest = f"sha256:{'0' * 64}"
    values = (changed / "values.yaml").read_text()
    (changed / "values.yaml").write_text(values.replace('digest: ""', f"digest: {digest}"))
    rendered = render(helm, changed)["files"]
    assert all(
        f"image: registry.example.com/sceau@{digest}\n" in rendered[f"{each}.yaml"]
        for each in ("serve", "worker", "migrate")
    )
