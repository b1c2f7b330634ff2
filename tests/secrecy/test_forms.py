import base64
import hashlib
from urllib.parse import quote

import pytest

from tests.secrecy.markers import MARKERS, Marker, leaks

MARKER = Marker.of("form")
ADDRESS = MARKER.address
FORMS = {
    "as sent": ADDRESS.encode(),
    "case-folded": ADDRESS.casefold().encode(),
    "in capitals": ADDRESS.upper().encode(),
    "UTF-16": ADDRESS.encode("utf-16"),
    "UTF-16, big-endian": ADDRESS.encode("utf-16-be"),
    "hex": ADDRESS.encode().hex().encode(),
    "hex of the case-folded, in capitals": ADDRESS.casefold().encode().hex().upper().encode(),
    "percent-encoded": quote(ADDRESS).encode(),
    "percent-encoded whole": "".join(f"%{byte:02X}" for byte in ADDRESS.encode()).encode(),
    "JSON escapes": "".join(f"\\u{ord(letter):04x}" for letter in ADDRESS).encode(),
    "SHA-256": hashlib.sha256(ADDRESS.encode()).hexdigest().encode(),
    "SHA-256 of the case-folded, raw": hashlib.sha256(ADDRESS.casefold().encode()).digest(),
    **{f"base64 after {n} bytes": base64.b64encode(b'{"id'[:n] + ADDRESS.encode() + b'"}') for n in range(4)},
    "base64url, case-folded": base64.urlsafe_b64encode(ADDRESS.casefold().encode()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_each_form_is_found(form):
    """Control: the search finds a marker in every form in which it could come out."""
    assert leaks({"sink": b"before " + form + b" after"}, {"form": MARKER})


def test_another_marker_is_not_found():
    """The search names the marker that is there and no other."""
    assert leaks({"sink": ADDRESS.encode()}, MARKERS) == []
