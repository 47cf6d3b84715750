"""What runs where, and what should not."""
