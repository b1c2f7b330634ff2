"""The routes of consents: recorded, withdrawn, searched, collected by link, renewed."""
