"""Decisions: one question type, one way to answer it, two sources of facts (memory under a lease, else the primary)."""
