#!/usr/bin/env python3
"""A content filter for Postfix's pipe(8): asks Sceau, analyses or does not, and hands the letter back in every case.

Called with the queue id, the sender and every recipient; the letter comes on standard input and goes back to Postfix by
SMTP: for all of its recipients or, as soon as one of them is refused, for none. Then, and whatever else goes wrong, it
exits with 75, so that Postfix keeps the letter and tries again.
"""

import logging
import os
import smtplib
import sys
from contextlib import closing, suppress
from pathlib import Path

PROCESSING = "service-improvement"
TRY_AGAIN = 75  # EX_TEMPFAIL, sysexits.h
TAKEN = {250, 251}  # RFC 5321, 4.2.3
PATIENCE = 300  # seconds for each answer of Postfix; RFC 5321 (4.5.3.2) wants five minutes for most of them
DOMAIN = os.environ.get("FILTER_DOMAIN", "example.fr")
BACK = ("127.0.0.1", int(os.environ.get("FILTER_BACK", "10026")))


def analyse(letter: bytes) -> None:
    """Do what needs consent: this stands for it."""
    with Path(os.environ["FILTER_LEARNT"]).open("a", encoding="utf-8") as learnt:
        learnt.write(f"{len(letter)}\n")


def filter_letter(queue_id: str, concerned: list[str], letter: bytes) -> None:
    """Analyse a letter if every user of ours who sent or receives it consents."""
    # Not at the top: without its library this is still a program that hands letters back.
    from sceau_client import Client, Element, HandleMaker  # noqa: PLC0415

    users = [address for address in concerned if address.lower().endswith(f"@{DOMAIN}")]
    handles = HandleMaker.from_file(os.environ["SCEAU_HANDLES"])
    key = Path(os.environ["SCEAU_KEY_FILE"]).read_text(encoding="ascii").strip()
    deadline = float(os.environ.get("SCEAU_DEADLINE", "1"))
    with Client(os.environ["SCEAU_URL"], key, refresh=None, deadline=deadline) as sceau:
        about = handles.correspondence(queue_id)
        if sceau.require_all(users, PROCESSING, about, elements=[Element.CONTENT]):
            analyse(letter)


def hand_back(sender: str, recipients: list[str], letter: bytes) -> bool:
    """Give Postfix the letter for all of its recipients; False when it does not take it, and then for none."""
    lines = letter.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")  # pipe(8) ends them in LF, SMTP in CR LF
    with closing(smtplib.SMTP(*BACK, local_hostname="localhost", timeout=PATIENCE)) as back:
        back.ehlo()
        options = []
        if not lines.isascii() and back.has_extn("8bitmime"):
            options.append("BODY=8BITMIME")
        if not "".join([sender, *recipients]).isascii():
            options.append("SMTPUTF8")  # RFC 6531
        said = [back.mail(sender, options), *[back.rcpt(each) for each in recipients]]
        if not all(code in TAKEN for code, _ in said):
            back.rset()
            return False
        code, _ = back.data(lines)
        if code in TAKEN:
            with suppress(OSError):  # it has the letter: whatever comes now must not make it come twice
                back.quit()
        return code in TAKEN


def main() -> int:
    """Filter one letter."""
    try:
        queue_id, sender, *recipients = sys.argv[1:]
        letter = sys.stdin.buffer.read()
        try:
            filter_letter(queue_id, [sender, *recipients], letter)
        except Exception as error:  # whatever is wrong with the analysis is no reason to hold a letter back
            logging.warning("not analysed: %s", type(error).__name__)
        if hand_back(sender, recipients, letter):
            return 0
        logging.warning("Postfix did not take the letter back for all of its recipients")
    except Exception as error:  # any other status returns the letter to its sender
        logging.warning("the letter was not handed back: %s", type(error).__name__)
    return TRY_AGAIN


if __name__ == "__main__":
    sys.exit(main())
