"""Invalidations as a test makes them."""

from typing import Any

from tests.support.api import Api

WHY = "The notice did not say who receives the data."


def invalidate(api: Api, identifier: str, **more: Any) -> Any:
    """Invalidate version 1 of a processing, unless something else is said."""
    struck = {} if "text" in more else {"version": 1}
    return api.call("POST", f"/v1/processings/{identifier}/invalidations", {**struck, "reason": WHY, **more})
