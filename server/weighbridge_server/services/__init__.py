"""Adapters: one module a proto service. Protobuf types stop here."""
