"""Storage: PostgreSQL, disk packs. Implements the ports of the domain; database rows stay in here."""
