"""The staff notice, members of staff and their acknowledgements."""
