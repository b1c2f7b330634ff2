"""The command that checks files: `verify FILE… [--key KEY]… [--against CHECKPOINT]…`.

Exit status: 0 all is good; 1 a check failed; 2 a file cannot be read; 3 good, but something could not be checked.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.proof.verifier.bundles import Findings, UnreadableError, check_bundle
from app.proof.verifier.notes import Note, NoteError, VerifierKey, opened
from app.proof.verifier.receipts import check_receipt

UNREADABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Check files, and tell of each what was found."""
    parser = argparse.ArgumentParser(prog="verify", description="Check what Sceau gives out, offline.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--key", action="append", default=[], help="a verifier key of the log, known from elsewhere")
    parser.add_argument(
        "--against", action="append", default=[], type=Path, metavar="CHECKPOINT", help="a checkpoint kept from before"
    )
    asked = parser.parse_args(arguments)
    try:
        keys = [VerifierKey.parse(each) for each in asked.key]
        against = [each.read_text(encoding="utf-8") for each in asked.against]
    except (OSError, UnicodeDecodeError, NoteError) as error:
        sys.stderr.write(f"verify: {error}\n")
        return UNREADABLE
    statuses = [_told(path, keys, against) for path in asked.files]
    return next((status for status in (1, UNREADABLE, 3) if status in statuses), 0)


def _told(path: Path, keys: list[VerifierKey], against: list[str]) -> int:
    try:
        found = _checked(path, keys, against)
    except (OSError, UnreadableError, NoteError) as error:
        _say(f"{path}: UNREADABLE: {getattr(error, 'strerror', None) or error}")
        return UNREADABLE
    for title, lines in (("ok", found.checked), ("NOT CHECKED", found.missing), ("WRONG", found.wrong)):
        for line in lines:
            _say(f"{path}: {title}: {line}")
    _say(f"{path}: {_VERDICTS[found.status]}")
    return found.status


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


_VERDICTS = {
    0: "GOOD",
    1: "WRONG: do not rely on it",
    3: "GOOD AS FAR AS IT GOES: see what was not checked",
}


def _checked(path: Path, keys: list[VerifierKey], against: list[str]) -> Findings:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        return check_bundle(path, keys, against)
    text = path.read_text(encoding="utf-8", errors="replace")
    return check_receipt(text, keys) if start.startswith(b"eyJ") else _checkpoint(text, keys)


def _checkpoint(text: str, keys: list[VerifierKey]) -> Findings:
    found = Findings()
    Note.parse(text)
    if not keys:
        raise UnreadableError("a checkpoint can be checked with the log's key only: give it with --key")
    for key in keys:
        try:
            head = opened(text, key)
        except NoteError as error:
            found.wrong.append(str(error))
        else:
            return Findings(checked=[f"a checkpoint of {head.size} entries, signed by {key.name}"])
    return found


if __name__ == "__main__":
    sys.exit(main())
