"""A first look at a mailbox: how many messages, which domain is the local one, and who has mail here most often."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from demo.letters import Letter, domain_of
from demo.refusal import WRONG_INPUT, Refused

_MOST_DOMAINS: Final = 5_000
_MOST_USERS: Final = 500


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first look found. `users` are local addresses, the most frequent recipient first, some only."""

    messages: int
    domains: frozenset[str]
    users: tuple[str, ...]


def survey(letters: Iterable[Letter], wanted: frozenset[str], *, scattered: bool = False) -> Survey:
    """Look at every message once; the local domains are those wanted, or the most frequent recipient domain.

    In messages scattered over many mailboxes, every recipient domain is local.

    Raises:
        Refused: there is no message, or none has a local recipient.

    """
    messages = 0
    by_domain: Counter[str] = Counter()
    users: dict[str, Counter[str]] = {}
    for letter in letters:
        messages += 1
        for address in letter.recipients:
            domain = domain_of(address)
            by_domain[domain] += 1
            _count_user(users.setdefault(domain, Counter()), address)
        if len(by_domain) > _MOST_DOMAINS:
            _forget_rare(by_domain, users, wanted)
    if scattered and not wanted:
        wanted = frozenset(by_domain)
    return _conclude(messages, by_domain, users, wanted)


def _count_user(users: Counter[str], address: str) -> None:
    if address in users or len(users) < _MOST_USERS:
        users[address] += 1


def _forget_rare(by_domain: Counter[str], users: dict[str, Counter[str]], wanted: frozenset[str]) -> None:
    """Keep the more frequent half: memory stays bounded in a mailbox full of spam."""
    for domain, _ in by_domain.most_common()[_MOST_DOMAINS // 2 :]:
        if domain not in wanted:
            del by_domain[domain]
            del users[domain]


def _conclude(messages: int, by_domain: Counter[str], users: dict[str, Counter[str]], wanted: frozenset[str]) -> Survey:
    if messages == 0:
        raise Refused("the mailbox holds no message", WRONG_INPUT)
    if not by_domain:
        raise Refused(f"none of the {messages} messages names a recipient", WRONG_INPUT)
    domains = wanted or frozenset(domain for domain, _ in by_domain.most_common(1))
    found: Counter[str] = Counter()
    for domain in sorted(domains):
        found.update(users.get(domain, Counter()))
    if not found:
        often = by_domain.most_common(1)[0][0]
        asked = ", ".join(sorted(domains))
        raise Refused(f"--domain {asked}: no message has a recipient there (most frequent: {often})", WRONG_INPUT)
    return Survey(messages, domains, tuple(user for user, _ in found.most_common()))
