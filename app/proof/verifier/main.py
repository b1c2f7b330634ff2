"""The command that checks files: `verify FILE… [--key KEY]… [--against CHECKPOINT]… [--tsa-ca FILE]`.

Exit status: 0 all is good; 1 a check failed, or a consent has ended since; 2 a file cannot be read; 3 good, but
something could not be checked.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from cryptography.x509 import Certificate, load_pem_x509_certificates

from app.proof.verifier.anchors import Trust, cosignatures_of
from app.proof.verifier.bodies import Findings, UnreadableError, parsed
from app.proof.verifier.bundles import Beside, bodies_in, check_bundle, heads_in, rotations_in
from app.proof.verifier.french import in_french
from app.proof.verifier.notes import COSIGNATURE, SIGNATURE, Note, NoteError, VerifierKey, followed, opened
from app.proof.verifier.receipts import RECEIPTS, SignedReceipt, body_in

UNREADABLE = 2
_LONGEST = 1 << 24


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the files that the arguments name, print what was found of each, and return the exit status."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    own = "fr" if spoken.startswith("fr") else "en"
    render: Callable[[str], str] = in_french if own == "fr" else str
    parser = argparse.ArgumentParser(prog="verify", description=render("Check what Sceau gives out, offline."))
    parser.add_argument("files", nargs="+", type=Path, metavar=render("FILE"))
    keys_of = render("a key of log, receipts or witness, or a file of keys")
    parser.add_argument("--key", action="append", default=[], metavar=render("KEY"), help=keys_of)
    kept = render("a checkpoint kept from before")
    parser.add_argument("--against", action="append", default=[], type=Path, metavar=render("FILE"), help=kept)
    roots_of = render("roots of time-stamping authorities, in PEM")
    parser.add_argument("--tsa-ca", type=Path, metavar=render("FILE"), help=roots_of)
    parser.add_argument("--lang", choices=("en", "fr"), default=own)
    options = parser.parse_args(arguments)
    render = in_french if options.lang == "fr" else str
    try:
        keys = [VerifierKey.parse(line) for each in options.key for line in _key_lines(each)]
        against = [_note(each) for each in options.against]
        roots = _roots(options.tsa_ca) if options.tsa_ca is not None else None
    except (OSError, UnicodeDecodeError, UnreadableError, NoteError) as error:
        _say(f"verify: {render(_why(error))}", sys.stderr)
        return UNREADABLE
    beside = Beside([(str(path), note, True) for path, note in zip(options.against, against, strict=True)])
    number_given = len(keys)
    for path in options.files:
        with suppress(Exception):  # a forger chooses what stands in a file; the check of the bundle reports it
            keys = followed(keys, rotations_in(path) if _starts(path, b"PK") else ())
    for key in keys[number_given:]:
        _say(render(f"{key} follows a key that is trusted, as both have signed"))
    for path in options.files:
        _stand_beside(path, beside, keys)
    checking = _Checking(keys, beside, roots, render)
    # Bundles are checked first: they show which consents of the receipts in this run have ended.
    statuses = [checking.check(path) for path in sorted(options.files, key=lambda path: not _starts(path, b"PK"))]
    for line in (*beside.contradictions(), *_bodies_that_were_there(checking.lost, options.files)):
        _say(f"{render('WRONG')}: {render(line)}")
        statuses.append(1)
    return next((status for status in (1, UNREADABLE, 3) if status in statuses), 0)


def _stand_beside(path: Path, beside: Beside, keys: list[VerifierKey]) -> None:
    """Add what a file says of logs to `beside`. Skip a file that cannot be read: its own check reports it."""
    with suppress(Exception):  # a forger chooses what stands in a file
        if _starts(path, b"PK"):
            beside.bundles.add(str(path))
            beside.heads += [(str(path), note, False) for note in heads_in(path)]
        elif _starts(path, b"eyJ"):
            SignedReceipt.parse(_text(path)).stand_beside(str(path), beside, keys)
        else:
            beside.heads.append((str(path), _text(path), False))


class _Checking:
    """The files of one run, checked one after the other."""

    def __init__(
        self, keys: list[VerifierKey], beside: Beside, roots: list[Certificate] | None, render: Callable[[str], str]
    ) -> None:
        self.keys, self.beside, self.render = keys, beside, render
        self.of_logs = [each for each in keys if each.kind == SIGNATURE and not each.name.endswith(RECEIPTS)]
        self.trust = Trust([each for each in keys if each.kind == COSIGNATURE], roots)
        self.ended: dict[tuple[str, str], str] = {}
        """What ended a consent, by the name of its log and its id."""
        self.parts: list[tuple[str, int, int]] = []
        """What each good bundle holds: the log's name, the number of its first entry, and the number after its last."""
        self.lost: dict[Path, dict[str, str]] = {}
        """For each bundle, the names of its entries whose bodies are gone without a reason, by commitment."""

    def check(self, path: Path) -> int:
        """Check a file, print what was found of it, and return its exit status."""
        try:
            report = self._checked(path)
        except Exception as error:  # noqa: BLE001 - a forger chooses what stands in a file: nothing of it may stop a run
            why = f"it is not what it should be ({type(error).__name__})"
            if isinstance(error, OSError | UnreadableError | NoteError):
                why = getattr(error, "strerror", None) or str(error)
            _say(f"{path}: {self.render(f'UNREADABLE: {why}')}")
            return UNREADABLE
        titled = {"ok": report.checked, "NOT CHECKED": report.missing, "ENDED": report.over, "WRONG": report.wrong}
        for title, lines in titled.items():
            for line in lines:
                _say(f"{path}: {self.render(title)}: {self.render(line)}")
        _say(f"{path}: {self.render(_OVER if report.over and not report.wrong else _VERDICTS[report.status])}")
        return report.status

    def _checked(self, path: Path) -> Findings:
        if _starts(path, b"PK"):
            report = check_bundle(path, self.of_logs, self.beside, self.trust)
            self.lost[path] = report.lost
            if self.of_logs and not report.wrong:  # only a bundle of a trusted log is believed on what ended
                self.ended.update({(report.part[0], each): by for each, by in report.ended.items()})
                self.parts.append(report.part)
            return report
        if _starts(path, b"eyJ"):
            return SignedReceipt.parse(_text(path)).check(self.keys, self.beside, str(path), self.ended, self.parts)
        return _checkpoint(path, self.of_logs, self.beside, self.trust)


def _bodies_that_were_there(lost: Mapping[Path, Mapping[str, str]], files: Sequence[Path]) -> Iterator[str]:
    """Yield a line for each body that a bundle lacks without a reason and another file has: the file and the facts."""
    for bundle, names in lost.items():
        for file in files if names else ():
            if file == bundle:
                continue
            with suppress(Exception):  # a forger chooses what stands in a file; its own check reports it
                for commitment, body in _bodies_of(file, names):
                    facts = parsed(body)
                    shown = ", ".join(str(facts[each]) for each in _MEMBERS_TOLD if facts.get(each))
                    yield f"{names[commitment]}: {file} has the body that {bundle} lacks: {shown}"


def _bodies_of(file: Path, wanted: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The commitments and bodies that a bundle or a receipt has. `wanted`: names of entries, by commitment."""
    if _starts(file, b"PK"):
        return list(bodies_in(file, wanted))
    body = body_in(_text(file)) if _starts(file, b"eyJ") else None
    return [body] if body is not None and body[0] in wanted else []


def _key_lines(text: str) -> list[str]:
    """A verifier key as it was given, or the keys in a file, one on each line."""
    return [text] if text.count("+") > 1 else Path(text).read_text(encoding="utf-8").split()


def _why(error: Exception) -> str:
    """The error in one line, which names the file if the file could not be read from the disk."""
    if isinstance(error, OSError):
        return f"{error.filename}: it cannot be read ({error.strerror})"
    return "it is no file of keys" if isinstance(error, UnicodeDecodeError) else str(error)


def _starts(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def _note(path: Path) -> str:
    """Read a checkpoint that the auditor kept. An unreadable one stops the run, as the log is not to blame for it."""
    try:
        Note.parse(text := path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, NoteError) as error:
        raise UnreadableError(f"{path}: this is no checkpoint") from error
    return text


def _roots(path: Path) -> list[Certificate]:
    try:
        return load_pem_x509_certificates(path.read_bytes())
    except ValueError as error:
        raise UnreadableError(f"{path}: it holds no certificates in PEM") from error


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise UnreadableError("it is longer than any receipt or checkpoint is")
    return text


def _say(line: str, stream: TextIO | None = None) -> None:
    # Text that a forger wrote into a file must not add lines to the output, and a character that the terminal cannot
    # show must not end the run.
    stream = stream or sys.stdout
    shown = "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)
    stream.write(shown.encode(stream.encoding or "utf-8", "backslashreplace").decode(stream.encoding or "utf-8") + "\n")


_OVER = "GENUINE, AND OF A CONSENT THAT HAS ENDED: it shows what was, and allows nothing now"
_MEMBERS_TOLD = ("kind", "processing", "collected_at", "act", "at")
"""The members of a body that are printed in one line."""
_VERDICTS = {
    0: "GOOD",
    1: "WRONG: do not rely on it",
    3: "GOOD AS FAR AS IT GOES: see what was not checked",
}


def _checkpoint(path: Path, keys: list[VerifierKey], beside: Beside, trust: Trust) -> Findings:
    text = _text(path)
    Note.parse(text)
    if not keys:
        raise UnreadableError("a checkpoint can be checked with the log's key only: give it with --key")
    try:
        head = opened(text, keys)
        seen = [
            f"witness {cosignature.key.name} saw it at {cosignature.at:%Y-%m-%dT%H:%M:%SZ}"
            for cosignature in cosignatures_of(text, trust.witnesses)
        ]
    except NoteError as error:
        return Findings(wrong=[str(error)])
    beside.known[str(path), head] = None
    return Findings(checked=[f"a checkpoint of {head.size} entries, signed by {head.origin}", *seen])


if __name__ == "__main__":
    sys.exit(main())
