"""Flows: chains of operations that a trigger starts (spec files-graphql-realtime-flows §4)."""
