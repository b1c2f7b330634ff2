"""The code of the version that is upgraded from, taken out of this repository's history."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

from tests.faults.service import ROOT

RELEASED: Final = "0037"
"""The last revision of the schema that was released; raise it with each release."""


def old_code(place: Path) -> Path:
    """A tree of the last commit whose schema ends with the released revision.

    Raises:
        AssertionError: the history does not reach back so far (a shallow clone).

    """
    following = f"*/versions/{int(RELEASED) + 1:04}_*.py"
    added = _git("log", "--diff-filter=A", "--format=%H", "--reverse", "--", following).split()
    assert added, f"no commit adds the revision after {RELEASED}: this needs the whole history (git fetch --unshallow)"
    archive = subprocess.run(["git", "archive", f"{added[0]}^"], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tree:
        tree.extractall(place, filter="data")
    return place


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
