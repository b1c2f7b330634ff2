"""Terms of the Data Privacy Vocabulary (DPV 2.2, https://w3id.org/dpv) for what the register holds."""

from collections.abc import Mapping
from typing import Final

from app.core.article import Purpose

CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "loc": "https://w3id.org/dpv/loc#",
    "dct": "http://purl.org/dc/terms/",
    "schema": "https://schema.org/",
}
"""The prefixes of JSON-LD."""
PURPOSES: Final[Mapping[Purpose, str]] = {
    Purpose.ADVERTISING: "dpv:Advertising",
    Purpose.STATISTICS: "dpv:ServiceUsageAnalytics",
    Purpose.SERVICE_IMPROVEMENT: "dpv:ImproveExistingProductsAndServices",
}
