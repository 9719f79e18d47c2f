"""Model families, and the networks that they share."""
