"""An account as its page names it: enough for its owner to know it again, too little for another to write to."""

import re
from typing import Final

_SHOWN: Final = 2
_SHOWN_TAIL: Final = 40
_PHONES: Final = frozenset({"phone", "tel", "msisdn", "phone_number"})
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{5,22}", re.ASCII)
_SCHEMES: Final = frozenset({"tel", "sip", "sips", "mailto", "xmpp", "sms"})
_HIDDEN: Final = "••"
_FRANCE: Final = "+33"
_NATIONAL_DIGITS: Final = 9


def account_hint(identifier: str, kind: str = "") -> str:
    """The first two characters at most, and never the whole of what stands before the domain: `al…@example.fr`.

    A telephone number (by the `kind` of its subject) shows how it begins and its last two digits, in pairs:
    `+33 6 •• •• •• 78`, `06 •• •• •• 78`.
    """
    if kind.lower() in _PHONES and _PHONE.fullmatch(identifier) is not None:
        return _phone(identifier)
    scheme, _, rest = identifier.partition(":")
    if scheme.lower() in _SCHEMES:
        return account_hint(rest, "phone" if _PHONE.fullmatch(rest) is not None else kind)
    # A colon stands before a domain only in ids such as @alice:example.fr.
    end = identifier.rfind(":") if identifier.startswith("@") else max(0, identifier.rfind("@"))
    name, tail = (identifier[:end], identifier[end:]) if end > 0 else (identifier, "")
    if len(tail) > _SHOWN_TAIL:
        tail = f"…{tail[-_SHOWN_TAIL:]}"
    return f"{name[: max(0, min(_SHOWN, len(name) - 1))]}…{tail}"


def _phone(number: str) -> str:
    digits = re.sub(r"[^0-9]", "", number)
    plus = number.startswith("+")
    if plus and digits.startswith(_FRANCE[1:]) and len(digits) == len(_FRANCE) - 1 + _NATIONAL_DIGITS:
        head, rest = f"{_FRANCE} {digits[2]}", digits[3:]
    else:
        head, rest = f"{'+' if plus else ''}{digits[:2]}", digits[2:]
    pairs = -(-len(rest) // 2)
    return " ".join([head, *([_HIDDEN] * (pairs - 1)), rest[-2:]])
