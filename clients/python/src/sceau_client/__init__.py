"""Ask Sceau before analysing private correspondence (CPCE art. L32-3). Analysis fails closed, delivery fails open.

`Client` waits, `AsyncClient` is awaited; both ask `Question`s and answer `Decision`s, which are true only when they are
permits. `HandleMaker` makes the handles that stand for messages. `Recorder` and `AsyncRecorder` record what people
decide, and make links to the consent page; `sceau_client.webhooks` verifies webhooks. Doubles for tests are in
`sceau_client.testing`.
"""

from sceau_client.aio import AsyncClient
from sceau_client.asking import Answer, Asking, AsyncAsking
from sceau_client.decisions import Decision, Decisions
from sceau_client.edge import Edge
from sceau_client.handles import HandleMaker
from sceau_client.questions import Correspondence, Parties, Question, Subject, User
from sceau_client.recorder import AsyncRecorder, Recorder
from sceau_client.records import Link, Recorded, RecordError, RefusedRecordError, UnknownRecordError, Withdrawn
from sceau_client.service import Connections
from sceau_client.sync import Client
from sceau_client.version import __version__
from sceau_client.words import Cause, Channel, Element, ExemptPurpose, Outcome

__all__ = [
    "Answer",
    "Asking",
    "AsyncAsking",
    "AsyncClient",
    "AsyncRecorder",
    "Cause",
    "Channel",
    "Client",
    "Connections",
    "Correspondence",
    "Decision",
    "Decisions",
    "Edge",
    "Element",
    "ExemptPurpose",
    "HandleMaker",
    "Link",
    "Outcome",
    "Parties",
    "Question",
    "RecordError",
    "Recorded",
    "Recorder",
    "RefusedRecordError",
    "Subject",
    "UnknownRecordError",
    "User",
    "Withdrawn",
    "__version__",
]
