"""A comparison as people read it: its words, and a page of HTML that needs nothing but itself."""
