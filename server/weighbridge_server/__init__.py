"""The Weighbridge server."""
