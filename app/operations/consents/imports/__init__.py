"""Imports: decisions that another system recorded, row by row, hundreds in a transaction."""
