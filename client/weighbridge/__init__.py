"""Weighbridge."""
