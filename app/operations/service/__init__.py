"""The deployment itself: its settings, signing keys, job runs, and the dashboard of all subjects."""
