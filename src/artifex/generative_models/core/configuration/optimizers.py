"""Configs of optimizers: gradient transformations of `optax`."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)


@config()
class OptimizerConfig(Config):
    """An optimizer.

    Attributes:
        learning_rate: step size where the learning-rate schedule is 1.
    """

    learning_rate: PositiveFloat = 1e-3


@config("adam")
class AdamConfig(OptimizerConfig):
    """Adam (Kingma & Ba 2015, arXiv:1412.6980).

    Attributes:
        b1: decay of the first moment.
        b2: decay of the second moment.
        eps: added to the denominator.
    """

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    eps: PositiveFloat = 1e-8


@config("adamw")
class AdamWConfig(OptimizerConfig):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101).

    Attributes:
        b1: decay of the first moment.
        b2: decay of the second moment.
        eps: added to the denominator.
        weight_decay: strength; only parameters with two or more axes decay (no biases, no norms).
    """

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    eps: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 1e-2


@config("adamax")
class AdamaxConfig(OptimizerConfig):
    """Adamax, Adam with the infinity norm (Kingma & Ba 2015, arXiv:1412.6980).

    Attributes:
        b1: decay of the first moment.
        b2: decay of the infinity norm.
        eps: added to the denominator.
    """

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    eps: PositiveFloat = 1e-8


@config("radam")
class RAdamConfig(OptimizerConfig):
    """Rectified Adam (Liu et al. 2020, arXiv:1908.03265).

    Attributes:
        b1: decay of the first moment.
        b2: decay of the second moment.
        eps: added to the denominator.
    """

    b1: Fraction = 0.9
    b2: Fraction = 0.999
    eps: PositiveFloat = 1e-8


@config("lion")
class LionConfig(OptimizerConfig):
    """Lion (Chen et al. 2023, arXiv:2302.06675).

    Attributes:
        b1: interpolation between momentum and gradient in the update.
        b2: decay of the momentum.
        weight_decay: strength; only parameters with two or more axes decay.
    """

    learning_rate: PositiveFloat = 1e-4
    b1: Fraction = 0.9
    b2: Fraction = 0.99
    weight_decay: NonNegativeFloat = 1e-3


@config("muon")
class MuonConfig(OptimizerConfig):
    """Muon (Jordan et al. 2024): orthogonalised momentum for matrices, Adam for all other parameters.

    Attributes:
        beta: decay of the momentum.
        num_newton_schulz_steps: iterations of the orthogonalisation.
        weight_decay: strength, for matrices.
        adam_b1: decay of the first moment, for other parameters.
        adam_b2: decay of the second moment, for other parameters.
    """

    learning_rate: PositiveFloat = 2e-3
    beta: Fraction = 0.95
    num_newton_schulz_steps: PositiveInt = 5
    weight_decay: NonNegativeFloat = 0.0
    adam_b1: Fraction = 0.9
    adam_b2: Fraction = 0.999


@config("rmsprop")
class RMSPropConfig(OptimizerConfig):
    """RMSProp (Hinton 2012), with optional momentum.

    Attributes:
        decay: decay of the mean square.
        eps: added to the denominator.
        momentum: decay of the momentum; 0: none.
    """

    decay: Fraction = 0.9
    eps: PositiveFloat = 1e-8
    momentum: Fraction = 0.0


@config("sgd")
class SGDConfig(OptimizerConfig):
    """Stochastic gradient descent.

    Attributes:
        momentum: decay of the momentum; 0: none.
        nesterov: whether the momentum looks ahead.
    """

    learning_rate: PositiveFloat = 1e-2
    momentum: Fraction = 0.0
    nesterov: bool = False
