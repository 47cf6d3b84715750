"""How a version was made: the recipe that its record gives, and what differs here from where it was made."""
