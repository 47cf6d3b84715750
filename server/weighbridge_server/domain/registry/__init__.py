"""What is registered: models, uploads, versions, what becomes of them, and how they descend from each other."""
