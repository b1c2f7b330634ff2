"""Commands for an operator who has restored a backup."""
