"""The deployment itself: its settings, signing keys, job runs, and the console's first page."""
