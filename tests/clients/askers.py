"""Both clients behind one face, so that each test is run with either: what is awaited is awaited on a stage."""

from collections.abc import Iterable
from typing import Any

from sceau_client import AsyncClient, Client, Decision, Decisions, Question
from tests.webhooks.courier import Stage


class Waiting:
    """The client that waits."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        """Make it."""
        self.client = Client(url, key, **options)
        self.evaluate = self.client.evaluate
        self.evaluate_many = self.client.evaluate_many
        self.require_all = self.client.require_all
        self.close = self.client.close

    def open(self) -> None:
        """Enter it."""
        self.client.__enter__()


class Awaited:
    """The client that is awaited."""

    def __init__(self, stage: Stage, url: str, key: str, **options: Any) -> None:
        """Make it."""
        self.stage = stage
        self.client = AsyncClient(url, key, **options)

    def evaluate(self, question: Question, **how: Any) -> Decision:
        """Ask one question."""
        return self.stage.run(self.client.evaluate(question, **how))

    def evaluate_many(self, questions: Iterable[Question], **how: Any) -> Decisions:
        """Ask several."""
        return self.stage.run(self.client.evaluate_many(questions, **how))

    def require_all(self, *what: Any, **how: Any) -> Decision:
        """Ask for all."""
        return self.stage.run(self.client.require_all(*what, **how))

    def open(self) -> None:
        """Enter it."""
        self.stage.run(self.client.__aenter__())

    def close(self) -> None:
        """Close it."""
        self.stage.run(self.client.close())
