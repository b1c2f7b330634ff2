#!/usr/bin/env python3
"""Have Rspamd learn one message, if Sceau says that its user allows it: for IMAPSieve, cron jobs and administrators.

    sceau-learn [--config FILE] spam|ham < message

The user is `$USER`, as Sieve's `pipe` sets it: an argument would stand in the process list. The message goes to Rspamd
only, and only after Sceau permitted; Sceau gets the user, the processing and an opaque handle. Standard library only.

Exit status: 0 learned or known already, 1 not permitted, 2 wrong use or settings, 3 Sceau gave no usable answer,
4 Rspamd did not learn. What it prints names nobody.
"""

import argparse
import configparser
import contextlib
import email.parser
import email.policy
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

DEFAULT_CONFIG = "/etc/rspamd/sceau-learn.conf"
OUTSIDER = "outsider"
_ADDRESS = re.compile(r"""[^\s<>()",;:]+@[^\s<>()",;:]+""")
_NAME = re.compile(r"[a-z_-]{1,24}")
_SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
_SHORTEST_SECRET = 32
LEARNED, DENIED, MISUSED, UNKNOWN, REFUSED = range(5)
_KNOWN = {
    "sceau": {
        *("url", "key_file", "handle_secret_file", "subject_type", "local_domains", "timeout"),
        *("processing", "elements", "party_mode"),
    },
    "rspamd": {"controller", "password_file", "timeout"},
}


class Failure(Exception):
    """It ends here: what to print, and the exit status."""

    def __init__(self, status: int, text: str) -> None:
        """Say why, in words that name nobody."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Settings:
    """What the configuration file says."""

    sceau: SplitResult
    key: str
    secret: str
    subject_type: str
    local_domains: dict[str, str]
    timeout: float
    processing: str
    elements: list[str]
    party_mode: str
    controller: SplitResult
    password: str
    controller_timeout: float


def read_settings(path: str) -> Settings:
    """Read the file. Raises Failure with what is wrong with it."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with Path(path).open(encoding="utf-8") as file:
            parser.read_file(file)
        _no_others(parser)
        sceau, rspamd = parser["sceau"], parser["rspamd"]
        return Settings(
            sceau=urlsplit(sceau["url"]),
            key=_secret(sceau["key_file"]),
            secret=_secret(sceau["handle_secret_file"], _SHORTEST_SECRET),
            subject_type=sceau.get("subject_type", "user"),
            local_domains={_as_in_dns(each): each for each in sceau["local_domains"].lower().split()},
            timeout=_seconds(sceau.get("timeout", "1")),
            processing=sceau["processing"],
            elements=sceau["elements"].split(),
            party_mode=_party_mode(sceau.get("party_mode", "user_only")),
            controller=urlsplit(rspamd["controller"]),
            password=_secret(rspamd["password_file"]) if "password_file" in rspamd else "",
            controller_timeout=_seconds(rspamd.get("timeout", "5")),
        )
    except KeyError as error:
        raise Failure(MISUSED, f"settings: {error} is not set") from None
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        # Only its kind: what could not be read may be a secret.
        raise Failure(MISUSED, f"settings: a file cannot be read: {type(error).__name__}") from None
    except ValueError as error:
        raise Failure(MISUSED, f"settings: {error}") from None


def _no_others(parser: configparser.ConfigParser) -> None:
    """Refuse a misspelt name: what it should have narrowed would stay as wide as it is by default."""
    for section in (configparser.DEFAULTSECT, *parser.sections()):
        unknown = sorted(set(parser[section]) - _KNOWN.get(section, set()))
        if unknown or section not in {configparser.DEFAULTSECT, *_KNOWN}:
            # A secret that was pasted as a line of its own is read as a name: only what looks like one is shown.
            shown = [each if _NAME.fullmatch(each) else "…" for each in (section.lower(), *unknown)]
            raise ValueError(f"there is no such setting: {', '.join(shown)}")


def _secret(path: str, least: int = 1) -> str:
    text = Path(path).read_text(encoding="utf-8").strip()
    if len(text) < least:
        raise ValueError(f"a file of a secret holds fewer than {least} characters")
    return text


def _seconds(text: str) -> float:
    if not _SECONDS.fullmatch(text) or float(text) == 0:
        raise ValueError("a timeout is no number of seconds")
    return float(text)


def _party_mode(text: str) -> str:
    if text not in {"user_only", "all_local_users", "all_parties"}:
        raise ValueError("party_mode is not user_only, all_local_users or all_parties")
    return text


def _as_in_dns(domain: str) -> str:
    """`café.example` and `xn--caf-dma.example` are one domain."""
    try:
        return domain.encode("idna").decode().lower()
    except UnicodeError:
        return domain


def read_message() -> tuple[str, bytes]:
    """Who the user is, and the message as Rspamd will see it: it skips blanks and an mbox line at the beginning."""
    user = os.environ.get("USER", "").lower()
    message = sys.stdin.buffer.read().lstrip()
    if message.startswith(b"From "):
        message = message.partition(b"\n")[2]
    if not user or not message:
        raise Failure(MISUSED, "no $USER, or no message on standard input")
    return user, message


def handle_of(settings: Settings, user: str, kind: str, message: bytes) -> str:
    """The opaque name of learning this message so for this user; lua/sceau_learning.lua makes the same."""
    said = f"learn-{kind}\n{user}\n{hashlib.sha256(message).hexdigest()}"
    return hmac.new(settings.secret.encode(), said.encode(), hashlib.sha256).hexdigest()[:32]


def participants_of(settings: Settings, user: str, message: bytes) -> list[dict[str, Any]] | None:
    """The other parties as the header names them: ours by id, all others as one mark. None where nobody asks.

    The mark is sent whatever the mode: should the register's be stricter than the one set here, it still counts.
    """
    if settings.party_mode == "user_only":
        return None
    parsed = email.parser.HeaderParser(policy=email.policy.compat32).parsestr(message.decode(errors="replace"))
    lines = [str(line) for name in ("From", "Sender", "To", "Cc", "Bcc") for line in parsed.get_all(name, [])]
    # Whatever looks like an address, also inside a name: too many parties can only narrow.
    ours, outsiders = set(), False
    for address in (each.lower() for line in lines for each in _ADDRESS.findall(line)):
        person, _, domain = address.rpartition("@")
        listed = settings.local_domains.get(_as_in_dns(domain))
        if listed is None:
            outsiders = True
        else:
            ours.add(f"{person}@{listed}")
    found: list[dict[str, Any]] = [{"id": each, "local": True} for each in sorted(ours - {user})]
    if outsiders:
        found.append({"id": OUTSIDER, "local": False})
    return found


def ask(settings: Settings, user: str, kind: str, message: bytes) -> str:
    """The decision token. Raises Failure when Sceau denies, or gives no usable answer."""
    others = participants_of(settings, user, message)
    question = {
        "subject": {"type": settings.subject_type, "id": user},
        "action": {"name": settings.processing, "properties": {"elements": settings.elements}},
        "resource": {
            "type": "correspondence",
            "id": handle_of(settings, user, kind, message),
            "properties": {} if others is None else {"participants": others},
        },
        "context": {"decision_token": True},
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {settings.key}"}
    body = json.dumps(question).encode()
    path = settings.sceau.path.rstrip("/") + "/access/v1/evaluation"
    try:
        with _within(settings.timeout):
            status, said = _post(settings.sceau, path, headers, body, settings.timeout)
        answer = json.loads(said)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failure(UNKNOWN, f"no usable answer: {type(error).__name__}") from None
    if status != http.HTTPStatus.OK or not isinstance(answer, dict) or not isinstance(answer.get("decision"), bool):
        raise Failure(UNKNOWN, f"no usable answer: status {status}")
    if not answer["decision"]:
        raise Failure(DENIED, "not permitted")
    context = answer.get("context")
    token = context.get("decision_token") if isinstance(context, dict) else None
    if not isinstance(token, str):
        raise Failure(UNKNOWN, "permitted, but without a decision token")
    return token


def learn(settings: Settings, user: str, kind: str, message: bytes, token: str) -> None:
    """Hand the message over to the controller. Raises Failure when it does not learn it."""
    headers: dict[str, str | bytes] = {"Sceau-Decision-Token": token, "Sceau-User": user.encode()}
    if settings.password:
        headers["Password"] = settings.password
    try:
        with _within(settings.controller_timeout):
            status, _ = _post(settings.controller, f"/learn{kind}", headers, message, settings.controller_timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failure(REFUSED, f"Rspamd: {type(error).__name__}") from None
    if status not in {http.HTTPStatus.OK, http.HTTPStatus.ALREADY_REPORTED}:
        raise Failure(REFUSED, f"Rspamd did not learn: status {status}")


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError when the block takes longer, all in all: a socket's own limit begins anew with each byte."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _post(
    to: SplitResult, path: str, headers: Mapping[str, str | bytes], body: bytes, timeout: float
) -> tuple[int, bytes]:
    kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
    connection = kind(to.hostname or "127.0.0.1", to.port, timeout=timeout)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def main() -> int:
    """Ask, then learn."""
    parser = argparse.ArgumentParser(description="Have Rspamd learn a message, if its user allows it.")
    parser.add_argument("--config", default=DEFAULT_CONFIG)
    parser.add_argument("kind", choices=["spam", "ham"])
    given = parser.parse_args()
    try:
        settings = read_settings(given.config)
        user, message = read_message()
        learn(settings, user, given.kind, message, ask(settings, user, given.kind, message))
    except Failure as failure:
        sys.stderr.write(f"sceau-learn: {failure}\n")
        return failure.status
    return LEARNED


if __name__ == "__main__":
    sys.exit(main())
