"""The log that an outsider can check: entries, tree, checkpoints, receipts and bundles (docs/proof.md)."""
