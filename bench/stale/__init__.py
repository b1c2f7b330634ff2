"""The proof of "never stale": real workers, concurrent callers, faults, and a check of everything that was answered."""
