"""Copies the pages of the checkout to where the site is built from, with what they link to.

Pages link to one another, to clients' pages and to files of deploy/ by paths of the checkout. The copy keeps these
paths, so every link leads on the site where it leads in the checkout, and the builder can check it.
"""

import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
STAGED: Final = ("*.md", "docs/**/*.md", "docs/images/*", "clients/*/README.md", "clients/python/examples/*.py")
DEPLOYMENT: Final = "deploy/**/*"
UNSEEN: Final = "__pycache__"


def stage(folder: Path) -> int:
    """Make a folder hold the pages, and nothing that it held before; how many files it holds."""
    shutil.rmtree(folder, ignore_errors=True)
    found = {path for pattern in (*STAGED, DEPLOYMENT) for path in ROOT.glob(pattern) if path.is_file()}
    wanted = sorted(path for path in found if not {UNSEEN, "secrets"} & set(path.relative_to(ROOT).parts))
    for path in wanted:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return len(wanted)
