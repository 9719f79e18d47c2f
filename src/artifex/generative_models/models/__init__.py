"""Model families, and the networks that they share. No family imports another."""
