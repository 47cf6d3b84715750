"""Finding versions by what they record."""
