"""Sceau: the policy decision point for the secrecy of private correspondence (CPCE art. L32-3).

Whatever process imports it looks for garbage seldom: what a request leaves is freed at once, and to look through all
modules and models again and again took a fifth of each start.
"""

import gc

gc.set_threshold(10_000, 50, 100_000)
