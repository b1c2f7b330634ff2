"""Who may read `/metrics`: a setting, and what the route goes by."""

from enum import StrEnum


class MetricsAccess(StrEnum):
    """Who may read `/metrics`: every client that reaches the port, callers with `audit:read`, or no client."""

    OPEN = "open"
    SCOPED = "scoped"
    OFF = "off"
