"""Sceau: the policy decision point for the secrecy of private correspondence (CPCE art. L32-3)."""
