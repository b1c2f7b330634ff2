"""What the demo refuses: one line for the person who started it, and an exit status."""

WRONG_INPUT = 2
FAILED = 1


class Refused(Exception):
    """The demo cannot go on; the message is one line."""

    def __init__(self, message: str, status: int = FAILED) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
