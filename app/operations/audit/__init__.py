"""Record and read what was done and decided."""
