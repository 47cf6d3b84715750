"""The journal, read: lists, its proof, and those who watch."""
