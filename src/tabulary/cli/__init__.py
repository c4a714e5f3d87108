"""The command line: ``tabulary start`` and its siblings (spec schema-and-platform §5)."""
