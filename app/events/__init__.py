"""Facts for others: the outbox, written in the transaction of the facts that it reports."""
