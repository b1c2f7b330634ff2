"""Rate limits: quotas in plain numbers, those of callers, and the bound on unknown keys."""
