"""Which build of the service this is."""

import os
from importlib.metadata import version


def build() -> tuple[str, str]:
    """The version of the package, and the commit that its image was built from (`unknown` outside an image)."""
    return version("sceau"), os.environ.get("SERVICE_REVISION") or "unknown"
