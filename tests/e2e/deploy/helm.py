"""The chart as Helm renders it with its own values, in an environment of its own; `python -m` writes the manifests."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.pypi import make_environment
from tests.packaging.wheels import ROOT

CHART = ROOT / "deploy/helm/sceau"
MANIFESTS = ROOT / "deploy/kubernetes"
HERE = Path(__file__).parent
HEADER = """\
# Rendered by Helm from deploy/helm/sceau with its own values. Change the chart, then run
# .venv/bin/python -m tests.e2e.deploy.helm
"""


def make_helm(place: Path) -> Path:
    """An environment with Helm's engine: its Python.

    Raises Unavailable when the package cannot be had.
    """
    return make_environment(place, sys.executable, HERE / "helm.txt")


def said(helm: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """What Helm makes of the chart with these values: `version`, `linted` and `files`, or `refused`."""
    done = subprocess.run(
        [helm, HERE / "render_chart.py", CHART, json.dumps(values)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def render(helm: Path, **values: object) -> dict[str, Any]:
    """Helm's version, what its linter says, and the manifests by the names of their files."""
    rendered = said(helm, values)
    rendered["files"] = {name: HEADER + text.lstrip("\n").rstrip() + "\n" for name, text in rendered["files"].items()}
    return rendered


def main() -> None:
    """Write deploy/kubernetes anew."""
    with tempfile.TemporaryDirectory() as place:
        rendered = render(make_helm(Path(place) / "helm"))
    for old in MANIFESTS.glob("*.yaml"):
        old.unlink()
    for name, text in rendered["files"].items():
        (MANIFESTS / name).write_text(text, encoding="utf-8")
    print(f"rendered by Helm {rendered['version']}: {', '.join(sorted(rendered['files']))}")


if __name__ == "__main__":
    main()
