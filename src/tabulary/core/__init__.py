"""What everything stands on: errors, settings, events, JSON, passwords, tokens. Imports nothing of ours."""
