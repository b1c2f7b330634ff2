"""The page of the staff notice."""
