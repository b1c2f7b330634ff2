"""The routes of the staff notice, members of staff and their acknowledgements."""
