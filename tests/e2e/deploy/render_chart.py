"""Renders the Helm chart with Helm's own engine; run by the Python of an environment that has helm-python-sdk.

render_chart.py CHART: one line of JSON, with Helm's version, what its linter says, and each file by its name.
"""

import json
import sys
from pathlib import Path

import helm_python

with helm_python.Chart.load(sys.argv[1]) as chart:
    rendered = chart.render({}, name="sceau", namespace="sceau")
linted = helm_python.lint(sys.argv[1])
files = {Path(name).name: text for name, text in rendered.items() if text.strip()}
print(json.dumps({"version": helm_python.helm_sdk_version(), "linted": linted, "files": files}))
