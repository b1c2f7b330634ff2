"""What concerns a person and every processing at once: accounts, ages, and names that belong together."""
