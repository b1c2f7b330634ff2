"""The module that Synapse loads: sees each message after it was persisted, asks Sceau in the background, runs analyses.

Delivery fails open: the callback returns at once, and whatever happens afterwards concerns the analysis alone. Analysis
fails closed: it runs only when every local user concerned is permitted by an answer to this very question.
"""

import inspect
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from synapse.module_api import EventBase, ModuleApi, StateMap, make_deferred_yieldable
from synapse.module_api.errors import ConfigError
from twisted.internet import reactor

from sceau_synapse.answers import Answer, Unusable, Verdict, combine, read_answers
from sceau_synapse.configuration import Configuration, ConfigurationProblem, Gate, read_configuration
from sceau_synapse.message import Element, Message, Parties, message_of, parties_of
from sceau_synapse.outcomes import Outcome, Outcomes, log
from sceau_synapse.pdp import Pdp
from sceau_synapse.permitted import Permitted
from sceau_synapse.questions import batch

if TYPE_CHECKING:
    from sceau_synapse.edge import EdgePdp


class SceauModule:
    """One homeserver process's share: the process that the configuration names does the work, the others none."""

    def __init__(self, config: Configuration, api: ModuleApi) -> None:
        """Register for new events, in the one process that is to act on them."""
        self._configuration = config
        self._api = api
        self._outcomes = Outcomes()
        self._in_flight = 0
        if api.worker_name != config.worker:
            log.info("another process asks Sceau: %s", config.worker or "the main one")
            return
        self._edge = _edge_of(config)
        self._pdp = Pdp(reactor, config.url, config.key, config.timeout)  # type: ignore[arg-type]  # a module in types
        api.register_third_party_rules_callbacks(on_new_event=self.on_new_event)

    @staticmethod
    def parse_config(config: dict[str, Any]) -> Configuration:
        """Check the configuration. Raises ConfigError, which ends the start of Synapse with one line."""
        try:
            return read_configuration(config)
        except ConfigurationProblem as problem:
            raise ConfigError(f"sceau: {problem}") from None

    async def on_new_event(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """Look at a persisted event; Synapse waits for this, so it only looks."""
        message = message_of(event)
        if message is None or event.internal_metadata.is_soft_failed():  # then it is not delivered either
            return
        if not (self._configuration.federated or self._api.is_mine(message.sender)):
            return
        gates = [gate for gate in self._configuration.gates if message.offers(gate.elements)]
        if not gates:
            return
        parties = parties_of(message.sender, state, self._api.is_mine)
        refused = self._refusal(parties)
        if refused is not None:
            for gate in gates:
                self._outcomes.count(gate.processing, refused)
        elif parties.local:
            self._in_flight += 1
            self._api.run_as_background_process("sceau", self._act, gates, message, parties)

    def _refusal(self, parties: Parties) -> Outcome | None:
        if len(parties.local) > self._configuration.max_local_members:
            return Outcome.TOO_MANY
        return Outcome.BUSY if self._in_flight >= self._configuration.max_in_flight else None

    async def _act(self, gates: Sequence[Gate], message: Message, parties: Parties) -> None:
        try:
            await self._api.sleep(0)  # the message is on its way first: Synapse goes on when the callback returns
            for gate, verdict in zip(gates, await self._ask(gates, message, parties), strict=True):
                if verdict.permitted:
                    await self._run(gate, verdict, _permitted(gate, verdict, message, parties))
                else:
                    self._outcomes.count(gate.processing, Outcome.DENIED)
        except Unusable as error:
            self._outcomes.unusable(str(error))
            for gate in gates:
                self._outcomes.count(gate.processing, Outcome.UNUSABLE)
        finally:
            self._in_flight -= 1

    async def _ask(self, gates: Sequence[Gate], message: Message, parties: Parties) -> list[Verdict]:
        each = len(parties.local)
        answers: Sequence[Answer] | None = None
        if self._edge is not None:
            answers = await make_deferred_yieldable(self._edge.ask(gates, message, parties))
        if answers is None:
            body = batch(self._configuration, gates, message, parties)
            status, answered = await make_deferred_yieldable(self._pdp.ask(body))
            answers = read_answers(status, answered, each * len(gates))
        self._outcomes.usable()
        return [combine(answers[start : start + each]) for start in range(0, len(answers), each)]

    async def _run(self, gate: Gate, verdict: Verdict, permitted: Permitted) -> None:
        """Run an analysis while the permit holds; whatever it raises ends with it."""
        try:
            if inspect.iscoroutinefunction(gate.on_permit):
                began = verdict.holds(datetime.now(UTC))
                if began:
                    await gate.on_permit(permitted)
            else:
                began = await self._api.defer_to_thread(_in_thread, gate, verdict, permitted)
        except Exception as error:  # noqa: BLE001  # the operator's code may raise anything
            self._outcomes.failed(gate.processing, error)
        else:
            self._outcomes.count(gate.processing, Outcome.ANALYSED if began else Outcome.LAPSED)


def _edge_of(config: Configuration) -> "EdgePdp | None":
    """What asks without requests, where that is configured."""
    if config.edge_socket is None:
        return None
    from sceau_synapse.edge import EdgePdp  # noqa: PLC0415  # needs a package that others do without

    return EdgePdp(reactor, reactor, config)  # type: ignore[arg-type]  # a module in types


def _in_thread(gate: Gate, verdict: Verdict, permitted: Permitted) -> bool:
    """Run an analysis, unless its permit ended while it waited for a thread; whether it ran."""
    if not verdict.holds(datetime.now(UTC)):
        return False
    gate.on_permit(permitted)
    return True


def _permitted(gate: Gate, verdict: Verdict, message: Message, parties: Parties) -> Permitted:
    identities = Element.CORRESPONDENT_IDENTITY in gate.elements
    return Permitted(
        processing=gate.processing,
        valid_until=verdict.valid_until,
        decisions=verdict.decisions,
        room_id=message.room_id,
        event_id=message.event_id,
        sent_at=message.sent_at,
        sender=message.sender if identities else None,
        local_members=parties.local if identities else None,
        content=message.content if Element.CONTENT in gate.elements else None,
        attachments=message.attachments if Element.ATTACHMENTS in gate.elements else None,
    )
