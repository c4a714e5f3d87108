"""Services: one class a resource, all of them on top of items (floor 4)."""
