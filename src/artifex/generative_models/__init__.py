"""Models, and all that is done with them."""
