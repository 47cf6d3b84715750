"""Comparing versions: how they differ, and why a metric may have got worse."""
