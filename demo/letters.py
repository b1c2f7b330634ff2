"""A message as the demo sees it: who it is for and who else took part. Read from headers that may be malformed."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default
from email.utils import getaddresses
from typing import Final

_ENVELOPE: Final = ("delivered-to", "x-original-to", "envelope-to")
_RECIPIENTS: Final = ("to", "cc", "bcc")
_SENDERS: Final = ("from", "sender")
_LONGEST_ADDRESS: Final = 320
_parser: Final = BytesHeaderParser(policy=default)


@dataclass(frozen=True, slots=True)
class Letter:
    """The parties of one message, each once, in lower case. Nothing else of it is kept."""

    number: int
    recipients: tuple[str, ...]
    senders: tuple[str, ...]

    def local(self, domains: frozenset[str]) -> tuple[str, ...]:
        """The recipients that have an account here."""
        return tuple(address for address in self.recipients if domain_of(address) in domains)


def domain_of(address: str) -> str:
    """What follows the last @."""
    return address.rpartition("@")[2]


def read_letter(number: int, headers: bytes) -> Letter:
    """The parties that a header block names; none where it cannot be understood."""
    message = _parser.parsebytes(headers)
    return Letter(number, _addresses(message, (*_ENVELOPE, *_RECIPIENTS)), _addresses(message, _SENDERS))


def _addresses(message: EmailMessage, names: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in names:
        for address in _of_header(message, name):
            if _is_usable(address):
                found.setdefault(address.lower())
    return tuple(found)


def _of_header(message: EmailMessage, name: str) -> Iterator[str]:
    try:
        values = message.get_all(name, [])
        for value in values:
            if name in _ENVELOPE:  # no address header to the email package
                yield from (address for _, address in getaddresses([str(value)]))
            else:
                yield from (address.addr_spec for address in value.addresses)
    except Exception:  # noqa: BLE001 - the parser raises many things on what spammers write
        return


def _is_usable(address: str) -> bool:
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and address.isprintable() and len(address) <= _LONGEST_ADDRESS
