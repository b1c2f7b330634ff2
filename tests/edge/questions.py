"""Questions of an edge."""

from sceau_client import Correspondence, Question


def asked(user: str, name: str, handle: str = "handle", **how) -> Question:
    """A question about a message that this handle stands for."""
    more = {key: how.pop(key) for key in ("elements", "automated", "token") if key in how}
    return Question(user, name, Correspondence(handle=lambda _: handle, **how), **more)
