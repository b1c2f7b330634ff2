"""The whole job by a client that was generated: run by the generator's own Python, beside the generated package.

SCEAU_ADDRESS and SCEAU_KEY say where and as whom; the bodies are the examples of the document, a file that is named.
What came of each step is printed as JSON.
"""

import importlib
import json
import os
import pkgutil
import sys
from pathlib import Path

import generated  # type: ignore[import-not-found] # it is made by the test


def main() -> None:
    """Import every module that was generated, then register, record, ask, withdraw, ask again, and be refused once."""
    document = json.loads(Path(sys.argv[1]).read_text())
    modules = [each.name for each in pkgutil.walk_packages(generated.__path__, "generated.")]
    for name in modules:
        importlib.import_module(name)
    called = generated.AuthenticatedClient(
        os.environ["SCEAU_ADDRESS"], token=os.environ["SCEAU_KEY"], raise_on_unexpected_status=True
    )
    stranger = generated.AuthenticatedClient(os.environ["SCEAU_ADDRESS"], token="nobody's")

    def call(operation, model, client=called):
        tag, function = next(name.split(".")[2:] for name in modules if name.endswith(f".{operation}"))
        body = getattr(importlib.import_module("generated.models"), model)
        example = body.from_dict(document["components"]["schemas"][model]["examples"][0])
        return importlib.import_module(f"generated.api.{tag}.{function}").sync(client=client, body=example)

    decisions = {
        "operations": sorted(name.split(".")[3] for name in modules if name.count(".") == 3 and ".api." in name),
        "registered": call("post_processing", "NewProcessing").id,
        "recorded": call("post_consent", "NewConsent").processing,
        "asked": call("evaluation", "EvaluationRequest").decision,
        "withdrawn": call("post_withdrawal", "NewWithdrawal").matched,
        "asked again": call("evaluation", "EvaluationRequest").decision,
        "refused": call("evaluation", "EvaluationRequest", stranger).type_,
    }
    print(json.dumps(decisions))


main()
