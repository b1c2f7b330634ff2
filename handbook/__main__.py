"""`python -m handbook stage` copies the pages for the site; `python -m handbook write` writes the reference pages."""

import sys
from typing import Final

from handbook.staging import ROOT, stage

PAGES: Final = ROOT / "build" / "pages"


def main(arguments: list[str]) -> int:
    """Do what is asked for; its exit status."""
    if arguments == ["stage"]:
        stage(PAGES)
        return 0
    if arguments == ["write"]:
        from handbook.reference import write_pages  # noqa: PLC0415 - it reads the whole application

        for path in write_pages():
            print(f"written: {path.relative_to(ROOT)}")
        return 0
    print("python -m handbook stage|write", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
