"""Ask an address once with the Synapse module's own HTTP client, and print the status or why there is none.

It is run by the Python of Synapse's environment, with an address, and an authority to trust in SSL_CERT_FILE.
"""

import sys

from twisted.internet import defer, reactor, task

from sceau_synapse.pdp import Pdp

HANGS = 60.0


def main(_: object, address: str) -> defer.Deferred[None]:
    """Ask, and print what came of it."""
    asking = Pdp(reactor, address, "key", HANGS).ask(b'{"evaluations":[]}')
    asking.addCallbacks(lambda answer: answer[0], lambda failure: failure.value)
    return asking.addCallback(print)


task.react(main, sys.argv[1:])
