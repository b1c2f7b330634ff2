"""`./dev demo`: reads its arguments, runs the service, tells the story, and turns what goes wrong into one line."""

import argparse
import io
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from demo.mailboxes import choose_mailbox
from demo.refusal import WRONG_INPUT, Refused
from demo.service import Service, running_service
from demo.story import Story
from demo.tables import Addresses, console

_DATA: Final = Path(__file__).resolve().parent.parent / ".sceau"
_INTERRUPTED: Final = 128 + signal.SIGINT
_TERMINATED: Final = 128 + signal.SIGTERM
_HIGHEST_PORT: Final = 65_535


@dataclass(slots=True)
class _Course:
    """How far the demo got: once everything is told, Ctrl-C is the way to end it."""

    told: bool = False


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; its exit status: 0, 1 when something failed, 2 for a wrong input, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without "…" shows "?"
    signal.signal(signal.SIGTERM, _terminate)
    course = _Course()
    try:
        _run(options, console(), course)
    except Refused as refused:
        print(f"demo: {refused}", file=sys.stderr)
        return refused.status
    except KeyboardInterrupt:
        if not course.told:
            return _INTERRUPTED
        print("\nThe service is stopped.")
    return 0


def _run(options: argparse.Namespace, out: Console, course: _Course) -> None:
    story = Story(out, choose_mailbox(options.mail), Addresses(whole=options.show_addresses))
    found = story.look_at_mail(frozenset(domain.lower() for domain in options.domain))
    out.print("Starting the service ...")
    with running_service(options.data.absolute(), options.port) as service:
        story.tell(service.url, service.key_file, found)
        course.told = True
        if not options.once:
            story.say_where(service.url, service.key_file)
            _wait(service, out)
    out.print("\nDone; the service is stopped.")


def _wait(service: Service, out: Console) -> None:
    """Wait for as long as the service runs; say that Ctrl-C was heard, since stopping may take a while."""
    try:
        service.wait_end()
    except KeyboardInterrupt:
        out.print("\nStopping … (Ctrl-C again ends it at once)")
        raise


def _terminate(_: int, __: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


class _Parser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end."""
        self.exit(WRONG_INPUT, f"demo: {message}; --help lists what there is\n")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"a port lies between 1 and {_HIGHEST_PORT}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="./dev demo",
        description="A sample register, made-up consents, then real messages through decisions; then it serves.",
        epilog="Only headers are read, and only to see who takes part. Users' ids reach the service's encrypted vault "
        "in the data directory; deleting that directory forgets everything.",
    )
    parser.add_argument("--mail", type=Path, metavar="PATH", help="an mbox file or a Maildir (default: test messages)")
    parser.add_argument(
        "--domain",
        action="append",
        default=[],
        help="a domain whose users have accounts here; repeat for more (default: the most frequent recipient domain)",
    )
    parser.add_argument("--port", type=_port, default=8080, help="port to listen on, on 127.0.0.1 (default: 8080)")
    parser.add_argument("--data", type=Path, default=_DATA, metavar="DIR", help="data directory (default: .sceau)")
    parser.add_argument("--once", action="store_true", help="stop the service when everything is told")
    parser.add_argument("--show-addresses", action="store_true", help="show whole addresses")
    return parser
