"""avitai-artifex (import name `artifex`, in the peers' environment): its VAE in its staged epoch, compiled as a whole.

python -m benchmarks.vae.avitai FOLDER
"""

import importlib.metadata
import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from artifex.generative_models.core.configuration.network_configs import DecoderConfig, EncoderConfig
from artifex.generative_models.core.configuration.vae_config import VAEConfig
from artifex.generative_models.training.loops import train_epoch_staged
from artifex.generative_models.training.trainers.vae_trainer import VAETrainer, VAETrainingConfig
from flax import nnx

from artifex.generative_models.models.vae.base import VAE
from benchmarks.vae.problem import NARROW_SCALE, Given, Problem, Weights, load_problem, narrow
from benchmarks.worker import Blocks, serve


def make_model(problem: Problem, weights: Weights) -> VAE:
    """Its dense VAE with the given weights."""
    encoder = EncoderConfig(
        name="encoder",
        input_shape=(problem.event_size,),
        latent_dim=problem.latent_size,
        hidden_dims=problem.hidden_sizes,
        activation="relu",
        use_batch_norm=False,
    )
    decoder = DecoderConfig(
        name="decoder",
        latent_dim=problem.latent_size,
        output_shape=(problem.event_size,),
        hidden_dims=problem.hidden_sizes,  # it reverses them
        activation="relu",
    )
    config = VAEConfig(name="vae", encoder=encoder, decoder=decoder, encoder_type="dense")
    model = VAE(config, rngs=nnx.Rngs(params=0, sample=1))
    layers = {
        **dict(zip(problem.encoder_layers, model.encoder.backbone.layers, strict=True)),
        "loc": model.encoder.mean_proj,
        "raw_scale": model.encoder.logvar_proj,
        **dict(zip(problem.decoder_layers, model.decoder.backbone.layers, strict=True)),
        "logits": model.decoder.output_layer,
    }
    for name, layer in layers.items():
        layer.kernel.value = jnp.asarray(weights[f"{name}.weight"])
        layer.bias.value = jnp.asarray(weights[f"{name}.bias"])
    return model


def make_loss() -> Any:
    """Its trainer's loss with the weight of the KL at one from the start."""
    return VAETrainer(VAETrainingConfig(kl_annealing="none")).create_loss_fn(loss_type="bce")


def describe(given: Given) -> dict[str, Any]:
    """Versions and the values to check."""
    loss = make_loss()
    key, step = jax.random.key(0), jnp.zeros((), jnp.int32)
    batch = {"image": jnp.asarray(given.batch)}
    narrow_weights = narrow(given.weights, raw_scale=2.0 * math.log(NARROW_SCALE))
    total, _ = loss(make_model(given.problem, narrow_weights), batch, key, step)
    _, metrics = loss(make_model(given.problem, given.weights), batch, key, step)
    names = ("avitai-artifex", "flax", "jax", "optax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "device": jax.devices()[0].device_kind,
        "narrow_loss": float(total),
        "kl": float(metrics["kl_loss"]),
        "scale": "exp",
    }


def train(given: Given, blocks: Blocks) -> dict[str, Any]:
    """Staged epochs; the loop takes the data in the order given, so it is shuffled before each."""
    problem = given.problem
    model = make_model(problem, given.weights)
    optimizer = nnx.Optimizer(model, optax.adam(problem.learning_rate), wrt=nnx.Param)
    loss = make_loss()
    data = jnp.asarray(given.data)
    key = jax.random.key(1)
    shuffle = jax.jit(lambda data, key: data[jax.random.permutation(key, len(data))])
    step, metrics, number = 0, {}, 0
    for _ in blocks:
        for _ in range(problem.epochs_per_block):
            order_key, epoch_key = jax.random.split(jax.random.fold_in(key, number))
            number += 1
            shuffled = shuffle(data, order_key)
            step, metrics = train_epoch_staged(
                model, optimizer, shuffled, problem.batch_size, epoch_key, loss, base_step=step
            )
        jax.block_until_ready(nnx.state(model, nnx.Param))
    return {"final_loss": metrics["loss"]}


if __name__ == "__main__":
    given = load_problem(Path(sys.argv[1]))
    serve(lambda: describe(given), lambda blocks: train(given, blocks))
