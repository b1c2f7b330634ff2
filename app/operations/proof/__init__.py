"""The log that an outsider can check: appending to it, proofs from it, bundles of it."""
