"""The version of this package, as its user agent says it; the same as in pyproject.toml."""

from typing import Final

__version__: Final = "0.1.0"
