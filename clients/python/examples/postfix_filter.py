#!/usr/bin/env python3
"""A content filter for Postfix's pipe(8): asks Sceau, analyses or does not, and delivers whatever happened.

Called with the queue id, the sender and every recipient; the letter comes on standard input and goes back to Postfix by
SMTP. Only when that fails does it exit with 75, so that Postfix keeps the letter and tries again; it never bounces one.
"""

import logging
import os
import smtplib
import sys
from pathlib import Path

from sceau_client import Client, Element, HandleMaker

PROCESSING = "service-improvement"
TRY_AGAIN = 75  # EX_TEMPFAIL, sysexits.h
DOMAIN = os.environ.get("FILTER_DOMAIN", "example.fr")
BACK = ("127.0.0.1", int(os.environ.get("FILTER_BACK", "10026")))


def analyse(letter: bytes) -> None:
    """Do what needs consent: this stands for it."""
    with Path(os.environ["FILTER_LEARNT"]).open("a", encoding="utf-8") as learnt:
        learnt.write(f"{len(letter)}\n")


def filter_letter(queue_id: str, recipients: list[str], letter: bytes) -> None:
    """Analyse a letter if every user of ours who receives it consents."""
    users = [address for address in recipients if address.lower().endswith(f"@{DOMAIN}")]
    handles = HandleMaker.from_file(os.environ["SCEAU_HANDLES"])
    key = Path(os.environ["SCEAU_KEY_FILE"]).read_text(encoding="ascii").strip()
    deadline = float(os.environ.get("SCEAU_DEADLINE", "1"))
    with Client(os.environ["SCEAU_URL"], key, refresh=None, deadline=deadline) as sceau:
        about = handles.correspondence(queue_id)
        if sceau.require_all(users, PROCESSING, about, elements=[Element.CONTENT]):
            analyse(letter)


def main() -> int:
    """Filter one letter."""
    queue_id, sender, *recipients = sys.argv[1:]
    letter = sys.stdin.buffer.read()
    try:
        filter_letter(queue_id, recipients, letter)
    except Exception:  # whatever is wrong with the analysis is no reason to hold a letter back
        logging.exception("not analysed")
    try:
        with smtplib.SMTP(*BACK) as back:
            back.sendmail(sender, recipients, letter)
    except (OSError, smtplib.SMTPException):
        return TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main())
