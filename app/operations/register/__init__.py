"""Write the register of processings."""
