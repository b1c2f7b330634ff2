"""The Helm chart, rendered by Helm's own engine, and the plain manifests that are committed beside it."""

from pathlib import Path

import pytest
import yaml

from tests.e2e.deploy.helm import CHART, MANIFESTS, make_helm, render, said


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


def test_a_changed_value_is_seen(helm):
    """The control: another value renders another manifest."""
    rendered = render(helm, bootstrapKey=False)["files"]
    assert {name for name, text in rendered.items() if text != committed()[name]} == {"serve.yaml"}


def test_a_digest_wins_over_a_tag(helm):
    """Who names the image by its digest gets no tag beside it."""
    digest = f"sha256:{'0' * 64}"
    rendered = render(helm, image={"digest": digest})["files"]
    assert all(
        f"image: registry.example.com/sceau@{digest}\n" in rendered[f"{each}.yaml"]
        for each in ("serve", "worker", "migrate")
    )


def paths(values, *above):
    """The way to each value, a mapping of values too."""
    for name, value in values.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from paths(value, *above, name)


def test_a_misspelt_value_is_refused(helm):
    """Helm names each value with a letter too many; what stands in requests and limits Kubernetes reads itself."""
    known = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    for *above, name in paths(known):
        if not {"requests", "limits"} & {*above}:
            misspelt: dict[str, object] = {f"{name}s": "1"}
            for each in reversed(above):
                misspelt = {each: misspelt}
            refused = said(helm, misspelt).get("refused", "")
            assert f"'{name}s'" in refused, (*above, name)
