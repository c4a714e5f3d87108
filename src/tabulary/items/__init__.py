"""The engine: query, plan, SQL, payload, nested writes, validation."""
