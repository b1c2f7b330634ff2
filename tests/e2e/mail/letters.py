"""Letters with marks in everything that is secret, so that a mark that gets out is found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from itertools import count

OUTSIDER = "zq-outsider@ailleurs.example"
MARKS = ("zq-outsider", "ailleurs.example", "zq-subject", "zq-body", "zq-message-id", "zq-attachment", "zq-name")
"""None of these may reach Sceau; each stands in every letter."""

_numbers = count(1)


@dataclass(frozen=True)
class Letter:
    """One letter: no two are alike, so that none is known already to a filter that learns."""

    to: Sequence[str]
    sender: str = OUTSIDER
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def token(self) -> bytes:
        """What only this letter holds."""
        return f"zq-body-{self.number}-end".encode()

    @property
    def raw(self) -> bytes:
        """The letter as it is sent: lines end in CR LF."""
        message = EmailMessage()
        message["From"] = f"zq-name <{self.sender}>"
        message["To"] = ", ".join(self.to)
        message["Subject"] = f"zq-subject {self.number}"
        message["Message-ID"] = f"<zq-message-id-{self.number}@ailleurs.example>"
        message["Date"] = "Wed, 25 Nov 2026 09:00:00 +0100"
        words = " ".join(f"word{self.number}x{index}" for index in range(40))
        message.set_content(f"{self.token.decode()} {words}\n")
        message.add_attachment(b"zq-attachment", maintype="text", subtype="x-zq", filename="zq-attachment.txt")
        return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
