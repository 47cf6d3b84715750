"""The command line: one module a group of verbs, on the public SDK."""
