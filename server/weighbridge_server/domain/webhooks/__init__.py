"""Webhooks: where events are sent to, and the sending."""
