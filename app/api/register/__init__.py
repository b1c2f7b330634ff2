"""The routes of the register of processings."""
