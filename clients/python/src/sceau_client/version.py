"""The version of this package, as in pyproject.toml; the user agent has it too."""

from typing import Final

__version__: Final = "0.1.0"
