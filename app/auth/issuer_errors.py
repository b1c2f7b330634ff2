"""What becomes of a request whose token cannot be checked now; for what answers it, and fetches no keys itself."""

from typing import Final


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be read now. `why` is a word for metrics and logs."""

    WORDS: Final = ("address", "connect", "discovery", "keys", "status", "timeout", "too_large", "waiting")

    def __init__(self, why: str) -> None:
        """Keep one of `WORDS`."""
        self.why = why
        super().__init__(why)
