"""The chat provider's register in Sceau, its users' decisions, and the keys of its servers."""

from pathlib import Path

from tests.support.api import Api, subject

ADS, STATISTICS, BROKEN = "ads-chat", "stats-chat", "broken-chat"


class Register:
    """Whoever runs Sceau for chat servers; the users' ids are of one subject type."""

    def __init__(self, api: Api, subject_type: str) -> None:
        """Take over a register in which `add_processings` was called."""
        self._api, self._type = api, subject_type

    def grant(self, user: str, *processings: str) -> None:
        """A user consents."""
        for each in processings:
            self._api.decide(user, each, subject=subject(user, self._type))

    def withdraw(self, user: str, identifier: str) -> None:
        """A user withdraws; when this returns, no permit is given any more."""
        self._api.withdraw(user, identifier, subject=subject(user, self._type))

    def write_key(self, path: Path) -> None:
        """Put a server's key into a file of its own."""
        path.write_text(self.new_key() + "\n")

    def new_key(self) -> str:
        """A server's key, which may ask about these processings and do nothing else."""
        return self._api.new_key("decisions:evaluate", processings=[ADS, STATISTICS, BROKEN])


def add_processings(api: Api) -> None:
    """Register what chat servers ask about, with both party modes under which several users' consents count."""
    api.register(ADS, service="chat", elements=["content"], party_mode="all_local_users")
    api.register(STATISTICS, service="chat", purpose="statistics", elements=["correspondent_identity"])
    api.register(BROKEN, service="chat", purpose="service_improvement", elements=["content"])
