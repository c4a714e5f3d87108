"""Who may do what: accountability, policies, permissions, rules and their variables."""
