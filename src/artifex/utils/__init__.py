"""Small helpers that know nothing of models: error texts and optional packages."""
