"""Names of the leaves of a PyTree, as sharding rules, files and error messages use them."""

from typing import Any

from jax.tree_util import KeyPath, keystr, tree_leaves_with_path
from jaxtyping import PyTree


def leaf_path(path: KeyPath) -> str:
    """The name of a leaf: attributes, keys and positions joined by dots, as in `encoder.layers.0.weight`."""
    return keystr(path, simple=True, separator=".")


def named_leaves(tree: PyTree[Any]) -> dict[str, Any]:
    """The leaves of a tree by name, in the order of the tree.

    >>> named_leaves({"a": [1.0, 2.0]})
    {'a.0': 1.0, 'a.1': 2.0}

    Raises:
        ValueError: two leaves have the same name, as under the keys `"a.b"` and `"a"`, `"b"` of nested dicts.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in tree_leaves_with_path(tree):
        name = leaf_path(path)
        if name in leaves:
            raise ValueError(f"two leaves of the tree have the path {name!r}; rename a key of its dicts")
        leaves[name] = leaf
    return leaves
