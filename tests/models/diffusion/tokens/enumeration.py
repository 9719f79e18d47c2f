"""Token diffusion of three tokens out of three, by enumeration of all states in float64 NumPy.

Nothing here comes from the library but the schedule's alpha(t), so it is an oracle for the rest.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

VOCAB, LENGTH = 3, 3


def states(num):
    """All sequences of tokens in [0, num), row i the digits of i."""
    return np.array(list(itertools.product(range(num), repeat=LENGTH)))


def index(tokens, num):
    """The row of `states(num)` that a sequence is."""
    return sum(tokens[l] * num ** (LENGTH - 1 - l) for l in range(LENGTH))


EXAMPLES = states(VOCAB)


def random_distribution(seed=0):
    """Probabilities of all examples, with dependent tokens."""
    logits = 1.2 * np.random.default_rng(seed).normal(size=len(EXAMPLES))
    return np.exp(logits) / np.exp(logits).sum()


class Chain:
    """q and the reverse chain of one process, masked or uniform.

    Attributes:
        num: tokens are in [0, num): masks count.
        states: all z.
    """

    def __init__(self, kind, alpha):
        self.kind, self.alpha = kind, alpha
        self.num = VOCAB + (kind == "masked")
        self.states = states(self.num)

    def keep(self, t, s=0.0):
        """One token's q(z_t | z_s) as a matrix, row z_s."""
        kept = self.alpha(t) / self.alpha(s)
        noise = np.eye(self.num)[VOCAB] if self.kind == "masked" else np.full(VOCAB, 1 / VOCAB)
        matrix = kept * np.eye(self.num) + (1 - kept) * noise[None]
        if self.kind == "masked":
            matrix[VOCAB] = np.eye(self.num)[VOCAB]
        return matrix

    def noisy(self, x, t):
        """q(z_t | x) of all z."""
        return np.prod(self.keep(t)[x[None], self.states], axis=1)

    def first(self):
        """p(z_1) of all z."""
        lost = 1 - self.alpha(1.0)
        one = np.full(self.num, 1 / VOCAB)
        if self.kind == "masked":
            one = np.append(np.full(VOCAB, (1 - lost) / VOCAB), lost)
        return np.prod(one[self.states], axis=1)

    def posterior(self, probs, z, t, s):
        """Of one position p(z_s | z_t = z), Bayes' rule with `probs` over the data in the place of x."""
        before = np.append(probs, 0.0)[: self.num] @ self.keep(s)
        joint = self.keep(t, s)[:, z] * before
        if self.kind == "masked" and z < VOCAB:
            return np.eye(self.num)[z]
        return joint / joint.sum()

    def step(self, probs, t, s):
        """p(z_s | z_t) of all pairs, row z_t; `probs` of all z_t, positions and tokens."""
        rows = []
        for z, p in zip(self.states, probs, strict=True):
            each = [self.posterior(p[l], z[l], t, s) for l in range(LENGTH)]
            rows.append(np.prod([each[l][self.states[:, l]] for l in range(LENGTH)], axis=0))
        return np.array(rows)

    def generated(self, probs_at, times):
        """Probabilities of all examples after the reverse chain; `probs_at(t)` as in `step`."""
        p = self.first()
        for t, s in itertools.pairwise(times):
            p = p @ self.step(probs_at(t), t, s)
        return p[[index(x, self.num) for x in EXAMPLES]]

    def bound(self, probs_at, times):
        """-log p(x) of all examples is at most this: the sum over the steps, and the first term."""
        first, total = self.first(), []
        for x in EXAMPLES:
            total.append(_kl(self.noisy(x, 1.0), first))
        data = np.eye(VOCAB)
        for t, s in itertools.pairwise(times):
            step = self.step(probs_at(t), t, s)
            for i, x in enumerate(EXAMPLES):
                known = self.step(np.broadcast_to(data[x], (len(self.states), LENGTH, VOCAB)), t, s)
                q = self.noisy(x, t)
                total[i] += sum(q[j] * _kl(known[j], step[j]) for j in np.flatnonzero(q))
        return np.array(total)


def _kl(q, p):
    seen = q > 0
    return np.sum(q[seen] * (np.log(q[seen]) - np.log(p[seen])))


def table_denoiser(num, seed=1, scale=1.0):
    """A denoiser without structure: random logits for every z, which move with t; in JAX and in NumPy."""
    rng = np.random.default_rng(seed)
    base, slope = scale * rng.normal(size=(2, num**LENGTH, LENGTH, VOCAB))

    def denoise(z, t):
        at = index(z, num)
        return jax.nn.log_softmax(jnp.asarray(base)[at] + t * jnp.asarray(slope)[at])

    def probs_at(t):
        logits = np.exp(base + t * slope)
        return logits / logits.sum(-1, keepdims=True)

    return denoise, probs_at


def perfect_denoiser(chain, p):
    """p(x_l | z_t, l left out) of all z_t for data of distribution `p`, as `probs_at(t)`."""

    def probs_at(t):
        keep = chain.keep(t)
        each = keep[EXAMPLES[None], chain.states[:, None]]  # of every z, example and position: q(z_l | x_l)
        found = np.zeros((len(chain.states), LENGTH, VOCAB))
        for l in range(LENGTH):
            others = np.prod(np.delete(each, l, axis=2), axis=2) * p
            for token in range(VOCAB):
                found[:, l, token] = others[:, EXAMPLES[:, l] == token].sum(1)
        # Where no example leads to the others, anything does.
        found += 1e-300
        return found / found.sum(-1, keepdims=True)

    return probs_at


def udlm_rate(x, z, probs, alpha):
    """Equation 18 of Schiff et al. 2024 as it stands there, for alpha = 1 - t, over all positions."""
    total = 0.0
    for token, i, p in zip(x, z, probs, strict=True):
        xbar = VOCAB * alpha * np.eye(VOCAB)[token] + (1 - alpha)
        ours = VOCAB * alpha * p + (1 - alpha)
        logs = np.log(ours[i] * xbar / (ours * xbar[i]))
        inner = VOCAB / xbar[i] - VOCAB / ours[i] - np.sum(xbar / xbar[i] * logs)
        total += -1 / (VOCAB * alpha) * inner
    return total
