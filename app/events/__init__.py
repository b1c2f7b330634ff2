"""Facts for others: the outbox, written in the transaction of what it tells."""
