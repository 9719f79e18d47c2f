"""What layers compute, one number at a time."""

import numpy as np


def attention_by_loops(queries, keys, values):
    """Softmax attention of `(tokens, heads, size)`, one query of one head at a time, in float64."""
    queries, keys, values = (np.asarray(a, np.float64) for a in (queries, keys, values))
    mixed = np.zeros_like(queries)
    for token, head in np.ndindex(*queries.shape[:2]):
        scores = keys[:, head] @ queries[token, head] / np.sqrt(queries.shape[2])
        weights = np.exp(scores - scores.max())
        mixed[token, head] = weights @ values[:, head] / weights.sum()
    return mixed
