"""Schemas: what versions must record, set by prefix of names and held against."""
