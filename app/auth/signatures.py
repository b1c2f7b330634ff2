"""Whether a token was signed with a key (RFC 7515). A deployment that takes no tokens does not load this."""

from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry, deserialize_compact

from app.auth.key_sets import algorithms_for
from app.auth.tokens import LONGEST_TOKEN


class _Registry(JWSRegistry):
    """Verifies by the algorithms that are handed in alone; ignores headers that it does not know (RFC 7515, 4)."""

    max_header_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - a class that the library does not export
        """The algorithm, without a warning that EdDSA has got another name (RFC 9864): issuers still say so."""
        return algorithms_for([name])[name]


_REGISTRY: Final = _Registry(strict_check_header=False)


def is_signed_by(text: str, algorithm: str, key: Key) -> bool:
    """Whether a token in compact form was signed with this key by that algorithm, and no other."""
    try:
        deserialize_compact(text, key, [algorithm], _REGISTRY)
    except (JoseError, ValueError, TypeError):
        return False
    return True
