"""What every model stands on; it knows no model."""
