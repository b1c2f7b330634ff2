"""The policy administration point's store: processings, their versions and status."""
