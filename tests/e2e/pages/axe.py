"""axe-core, the accessibility checker, fetched once with npm into .sceau-e2e/ and run inside a page.

`page.evaluate` runs it under any content security policy; the page itself stays without scripts.
"""

import subprocess
import tarfile
from typing import Any

from tests.e2e.buildah import CACHE
from tests.e2e.debian import provide

VERSION = "4.10.3"
GRAVE = ("serious", "critical")
_WANTED = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice", "RGAAv4"]


def provide_axe() -> str:
    """The checker's source, fetched if it is missing.

    Raises Unavailable when npm is missing and cannot be installed here.
    """
    kept = CACHE / f"axe-core-{VERSION}.js"
    if not kept.exists():
        CACHE.mkdir(mode=0o700, exist_ok=True)
        provide("npm", ("npm",), "the pages are checked with axe-core from npm")
        print("e2e: fetching axe-core with npm", flush=True)
        line = ["npm", "pack", "--silent", "--pack-destination", str(CACHE), f"axe-core@{VERSION}"]
        subprocess.run(line, check=True, cwd=CACHE, stdout=subprocess.DEVNULL)
        archive = CACHE / f"axe-core-{VERSION}.tgz"
        with tarfile.open(archive) as packed:
            source = packed.extractfile("package/axe.min.js")
            assert source is not None
            kept.write_bytes(source.read())
        archive.unlink()
    return kept.read_text(encoding="utf-8")


def findings(page: Any, source: str) -> list[str]:
    """What the checker finds serious or critical on a page, each with where and why."""
    page.evaluate(source)
    run = "wanted => axe.run(document, {runOnly: {type: 'tag', values: wanted}, resultTypes: ['violations']})"
    result = page.evaluate(run, _WANTED)
    assert len(result["passes"]) > 10, "the checker checked next to nothing"
    return [
        f"{violation['impact']} {violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
    ]
