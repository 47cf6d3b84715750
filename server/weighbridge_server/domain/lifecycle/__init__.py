"""Aliases and stages: the pointers that say which version is which, moved and rolled back."""
