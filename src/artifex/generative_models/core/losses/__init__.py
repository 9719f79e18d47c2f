"""Pure loss functions, and weighted sums of them.

Every pointwise loss takes `reduce`, `"mean"` over all entries unless told otherwise (see `reduction`).
"""

from artifex.generative_models.core.losses.composite import CompositeLoss, CompositeLossOutput, WeightedLoss
from artifex.generative_models.core.losses.discrete_divergences import (
    chi_square,
    hellinger,
    jensen_shannon,
    kl_bernoulli,
    kl_categorical,
    reverse_kl_categorical,
    total_variation_distance,
)
from artifex.generative_models.core.losses.normal_divergences import (
    alpha_normal,
    kl_normal,
    kl_standard_normal,
    renyi_normal,
    reverse_kl_normal,
)
from artifex.generative_models.core.losses.reconstruction import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    charbonnier,
    huber,
    mae,
    mse,
)
from artifex.generative_models.core.losses.reduction import Reduction, reduce_loss
from artifex.generative_models.core.losses.regularizers import (
    gradient_penalty,
    jacobian_penalty,
    l1,
    l2,
    orthogonality,
    total_variation,
)
from artifex.generative_models.core.losses.two_sample import (
    IMQKernel,
    RBFKernel,
    energy_distance_batch,
    mmd_batch,
    sliced_wasserstein_batch,
)
