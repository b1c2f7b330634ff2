"""Access tokens, checked once and remembered: by their SHA-256, as keys are, until they expire.

A token whose key the issuer has withdrawn is forgotten with it: the holder of that key may have made the token.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from app.auth.callers import Token
from app.auth.issuers import Issuer, keep_fresh
from app.auth.tokens import BadTokenError, TokenRules, read_token, verify_token

_REMEMBERED_AT_MOST: Final = 10_000


class TokenCheck:
    """Says what tokens are worth."""

    def __init__(self, rules: TokenRules, issuers: Sequence[Issuer]) -> None:
        """Take the tokens of these issuers by these rules."""
        self.issuers: Mapping[str, Issuer] = {each.source.issuer: each for each in issuers}
        self.ref = rules.ref
        self.accepted = 0
        self.refused: dict[str, int] = dict.fromkeys(BadTokenError.WORDS, 0)
        self.withdrawn: Callable[[frozenset[str]], None] = lambda _: None
        self._rules = rules
        self._remembered: OrderedDict[bytes, Token] = OrderedDict()
        for issuer in issuers:
            issuer.lost = self._forget_signed_by

    def known(self, digest: bytes) -> Token | None:
        """The token of this SHA-256, if it was found good and is remembered, whether it has expired since or not."""
        return self._remembered.get(digest)

    async def check(self, text: str, digest: bytes, now: float) -> Token:
        """What a token says. The signature is checked the first time only.

        Args:
            text: the token.
            digest: its SHA-256.
            now: an epoch time in seconds.

        Raises:
            BadTokenError: it opens nothing.
            IssuerUnavailableError: that cannot be known now.

        """
        remembered = self._remembered.get(digest)
        if remembered is not None and now < remembered.until.timestamp():
            self._remembered.move_to_end(digest)
            return remembered
        try:
            token = await self._verified(text, now)
        except BadTokenError as error:
            self.refused[error.why] += 1
            raise
        self.accepted += 1
        self._remembered[digest] = token
        if len(self._remembered) > _REMEMBERED_AT_MOST:
            self._remembered.popitem(last=False)
        return token

    async def _verified(self, text: str, now: float) -> Token:
        token = read_token(text, self._rules)
        keys = await self.issuers[token.issuer].keys_for(token.key_id, token.algorithm)
        if not keys:
            raise BadTokenError("key")
        return verify_token(token, keys, self._rules, now)

    async def keep(self) -> None:
        """Keep the keys of every issuer fresh, until cancelled."""
        await keep_fresh(list(self.issuers.values()))

    async def close(self) -> None:
        """End what is under way."""
        for issuer in self.issuers.values():
            await issuer.close()

    def _forget_signed_by(self, thumbprints: frozenset[str]) -> None:
        for digest in [digest for digest, token in self._remembered.items() if token.signed_by in thumbprints]:
            del self._remembered[digest]
        self.withdrawn(thumbprints)
