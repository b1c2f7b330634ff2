"""Every route of the console: its pages add theirs to one router, and their acts to one table."""

from app.pages.console import account, callers, controllers, coverage, home, people, proposing, register, reports
from app.pages.console.acts import ACTS
from app.pages.console.frame import router

__all__ = ["ACTS", "PAGES", "router"]
PAGES = (account, home, register, proposing, controllers, people, reports, coverage, callers)
