"""Renders the Helm chart with Helm's own engine; run by the Python of an environment that has helm-python-sdk.

render_chart.py CHART VALUES: one line of JSON, with Helm's version, what its linter says, and each file by its name; or
with what Helm says against the values, which are JSON.
"""

import json
import sys
from pathlib import Path

import helm_python

try:
    with helm_python.Chart.load(sys.argv[1]) as chart:
        rendered = chart.render(json.loads(sys.argv[2]), name="sceau", namespace="sceau")
except helm_python.HelmError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
linted = helm_python.lint(sys.argv[1])
files = {Path(name).name: text for name, text in rendered.items() if text.strip()}
print(json.dumps({"version": helm_python.helm_sdk_version(), "linted": linted, "files": files}))
