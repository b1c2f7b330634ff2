"""Keys that sign for this deployment: how they are kept, and what is signed with them."""
