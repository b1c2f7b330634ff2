"""The routes of events: webhooks that receive them, and the feed to poll."""
