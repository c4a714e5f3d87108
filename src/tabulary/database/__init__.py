"""Floor 1: connections, dialects, catalog, DDL and the first start of a database."""
