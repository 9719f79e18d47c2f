"""Consistency models: losses vanish at the exact function, gradients are those of the papers, samples are right."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.core.sampling.mixtures import Mixture
from tests.models.diffusion.exact import exact_flow, two_gaussians

from artifex.generative_models.core.configuration import (
    AdamConfig,
    ConsistencyConfig,
    ConsistencySamplerConfig,
    ContinuousConsistencyConfig,
    DataPredictionConfig,
    DDIMSamplerConfig,
    DiscreteConsistencyConfig,
    EDMPathConfig,
    EDMPredictionConfig,
    ExponentialScheduleConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    LinearPathConfig,
    LinearScheduleConfig,
    LogNormalSigmaTimesConfig,
    MLPDenoiserConfig,
    TimeLevelConfig,
    TrainingConfig,
    TrigonometricPathConfig,
    VPPathConfig,
    VPredictionConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.sampling import AngleVariable, DDIMSampler, Estimate, ODESampler
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.consistency import on_path
from artifex.generative_models.models.diffusion.consistency_objectives import make_objective, solver_step
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.models.diffusion.predictions import make_prediction
from artifex.generative_models.training import fit

SMALL = MLPDenoiserConfig(hidden_size=16, num_layers=1)
GAUSSIAN = Mixture((1.0,), (0.4,), (0.6,))
MIXTURE = Mixture((0.3, 0.7), (-1.0, 0.6), (0.3, 0.2))
STEP = jnp.asarray(10_000)
FORMS = {
    "trig_v": (TrigonometricPathConfig(), VPredictionConfig()),
    "trig_edm": (TrigonometricPathConfig(), EDMPredictionConfig(sigma_data=0.5)),
    "linear_edm": (LinearPathConfig(), EDMPredictionConfig(sigma_data=0.7)),
    "vp_v": (VPPathConfig(), VPredictionConfig()),
    "edm_edm": (EDMPathConfig(), EDMPredictionConfig(sigma_data=0.5)),
}
CONTINUOUS = ContinuousConsistencyConfig(warmup=LinearScheduleConfig(num_steps=10), normalization=None)


def form(name):
    path, prediction = FORMS[name]
    return make_path(path), make_prediction(prediction)


def points(path):
    """Examples on the way, at times where neither end is near."""
    for ratio, seed in ((0.2, 0), (1.0, 1), (4.0, 2)):
        t = path.time(-2.0 * jnp.log(jnp.float32(ratio)))
        yield path.alpha(t) * 0.4 + path.sigma(t) * jax.random.normal(jax.random.key(seed), (3,)), t


def exact_output(path, prediction):
    """The network whose consistency function is one Gaussian's, m + s (x - alpha m) / sqrt(alpha^2 s^2 + sigma^2)."""
    mean, std = GAUSSIAN.means[0], GAUSSIAN.scales[0]

    def output(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        data = mean + std * (x - alpha * mean) / jnp.sqrt(alpha**2 * std**2 + sigma**2)
        return prediction.output(path, Estimate(data, (x - alpha * data) / sigma), t)

    return output


def loss(config, output, denoise, path, prediction, x, t):
    """Alone."""
    given = (path, prediction, x, t)
    return make_objective(config, has_teacher=True).loss(output, denoise, *given, step=STEP)[0]


@pytest.mark.parametrize("name", FORMS)
class TestObjectives:
    """With closed-form functions."""

    def test_tangent_vanishes_at_the_exact_function(self, name):
        """To round-off; at another function it does not."""
        path, prediction = form(name)
        output, denoise = exact_output(path, prediction), GAUSSIAN.denoiser(path)
        for x, t in points(path):
            assert loss(CONTINUOUS, output, denoise, path, prediction, x, t) < 1e-8
            other = loss(CONTINUOUS, lambda x, t: output(x, t) + 0.1 * x, denoise, path, prediction, x, t)
            assert other > 1e-5

    def test_tangent_is_the_derivative_along_the_trajectory(self, name):
        """Against differences of f between two near points of a mixture's trajectory, for any network."""
        path, prediction = form(name)
        denoise = MIXTURE.denoiser(path)

        def output(x, t):
            return jnp.sin(1.3 * x + 2.0 * t) + 0.2 * x[::-1]

        size = 1.0 if "v" in name.split("_")[1] else prediction.sigma_data
        jump = lambda x, t: prediction.estimate(path, output(x, t), x, t).data  # noqa: E731
        angle = lambda t: np.arctan2(float(path.sigma(t)), size * float(path.alpha(t)))  # noqa: E731
        for x, t in points(path):
            near = t * jnp.float32(1.01), t * jnp.float32(0.99)
            # A hundred small steps of the ODE lead to two neighbours.
            ends = [_follow(path, denoise, x, jnp.linspace(t, s, 101)) for s in near]
            slope = (jump(ends[0], near[0]) - jump(ends[1], near[1])) / (angle(near[0]) - angle(near[1]))
            expected = np.mean((np.cos(angle(t)) * np.asarray(slope)) ** 2)
            ours = loss(CONTINUOUS, output, denoise, path, prediction, x, t)
            np.testing.assert_allclose(ours, expected, rtol=0.03)

    def test_gradient_is_that_of_the_paper(self, name):
        """Of weight f(x, t) df/du with the weight 1 / (s tan u), the derivative held fixed."""
        path, prediction = form(name)
        denoise = MIXTURE.denoiser(path)
        size = 1.0 if "v" in name.split("_")[1] else prediction.sigma_data

        def output(scale):
            return lambda x, t: jnp.sin(scale * x) * jnp.cos(t)

        for x, t in points(path):
            ours = jax.grad(lambda s: loss(CONTINUOUS, output(s), denoise, path, prediction, x, t))(1.3)  # noqa: B023
            slopes = path.derivatives(t)
            estimate = denoise(x, t)
            velocity = slopes[0] * estimate.data + slopes[1] * estimate.noise
            jump = lambda s, x, t: prediction.estimate(path, output(s)(x, t), x, t).data  # noqa: E731
            one = jnp.ones_like(t)
            along = jax.jvp(lambda x, t: jump(1.3, x, t), (x, t), (velocity, one))[1]  # noqa: B023
            rate = jax.jvp(lambda t: jnp.arctan2(path.sigma(t), size * path.alpha(t)), (t,), (one,))[1]
            tangent = float(path.sigma(t) / (size * path.alpha(t)))
            by_scale = jax.jvp(lambda s: jump(s, x, t), (1.3,), (1.0,))[1]  # noqa: B023
            expected = 2.0 * jnp.mean(by_scale * along / rate) / (size * tangent)
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-6)

    def test_discrete_distance_falls_with_the_gap(self, name):
        """At the exact function all that is left is the solver's error of one step: gap^2 for Euler, gap^3 for Heun."""
        path, prediction = form(name)
        output, denoise = exact_output(path, prediction), GAUSSIAN.denoiser(path)
        x, t = [*points(path)][1]

        def distance(gap, solver):
            config = DiscreteConsistencyConfig(
                gap=ExponentialScheduleConfig(start=gap, end=gap), huber=1e-6, solver=solver
            )
            return gap * float(loss(config, output, denoise, path, prediction, x, t))

        for solver, order in (("ddim", 2), ("heun", 3)):
            far, near = distance(0.4, solver), distance(0.1, solver)
            assert np.log(far / near) / np.log(4.0) > order - 0.4


def _follow(path, denoise, x, times):
    def step(x, pair):
        return DDIMSampler().step(denoise, path, x, (), *pair, key=jax.random.key(0))[0], None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


@pytest.mark.parametrize("path", [TrigonometricPathConfig(), LinearPathConfig()])
def test_step_is_that_of_the_samplers(path):
    """DDIM's, and that of diffrax's Heun in the angle; also at the ends."""
    path = make_path(path)
    x, denoise = jnp.array([0.3, -1.1]), MIXTURE.denoiser(path)
    for sampler in (DDIMSampler(), ODESampler(diffrax.Heun(), AngleVariable())):
        for pair in ((0.7, 0.4), (0.999, 0.5), (0.2, 0.0)):
            t, s = (jnp.float32(time) for time in pair)
            expected = sampler.sample(denoise, path, x, jnp.stack([t, s]), key=jax.random.key(0)).x
            ours = solver_step(denoise, path, x, t, s, is_second_order=isinstance(sampler, ODESampler))
            np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-4)


def test_discrete_loss_on_data_in_float64():
    """The paper's distance and weight, put together here; the teacherless trajectory is the example with its noise."""
    path, prediction = form("trig_edm")
    data, noise = jax.random.normal(jax.random.key(0), (2, 3))
    t = jnp.float32(0.6)
    config = DiscreteConsistencyConfig(gap=0.25, huber=0.1, solver="ddim")
    output = lambda x, t: jnp.sin(x) * t  # noqa: E731
    x = path.alpha(t) * data + path.sigma(t) * noise
    ours = loss(config, output, lambda x, t: Estimate(data, noise), path, prediction, x, t)

    def jump(time):
        angle = np.pi / 2 * time
        alpha, sigma = np.cos(angle), np.sin(angle)
        x = alpha * np.float64(data) + sigma * np.float64(noise)
        radius = np.hypot(sigma, 0.5 * alpha)
        return 0.25 * alpha / radius**2 * x + 0.5 * sigma / radius * np.sin(x) * time, sigma / (0.5 * alpha)

    (far, high), (near, low) = jump(0.6), jump(0.45)
    c = 0.1 * np.sqrt(3)
    expected = (np.sqrt(np.sum((far - near) ** 2) + c**2) - c) / (high - low)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.parametrize("theirs", [VPPathConfig(), EDMPathConfig(), TrigonometricPathConfig()])
def test_a_denoiser_on_another_path(theirs):
    """A mixture's denoiser, moved, is the mixture's denoiser there."""
    theirs, ours = make_path(theirs), make_path(LinearPathConfig())
    moved = on_path(MIXTURE.denoiser(theirs), theirs, ours)
    for t in (0.05, 0.5, 0.95):
        x = jnp.array([0.3, -1.1])
        expected = MIXTURE.denoiser(ours)(x, jnp.float32(t))
        for a, b in zip(moved(x, jnp.float32(t))[:2], expected[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def trained(objective, *, num_steps, teacher=None):
    """A small consistency model of the two."""
    config = ConsistencyConfig(
        event_shape=(2,),
        network=MLPDenoiserConfig(hidden_size=48, num_layers=2),
        prediction=EDMPredictionConfig(sigma_data=0.7),
        times=LogNormalSigmaTimesConfig(mean=0.0, std=1.6, low_discrepancy=True),
        objective=objective,
        teacher=None if teacher is None else teacher.config,
    )
    training = TrainingConfig(
        num_steps=num_steps,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=3e-3),
        schedule=WarmupCosineScheduleConfig(),
        ema_decay=0.99,
    )
    model, x = create_model(config, key=jax.random.key(0)), two_gaussians()
    if teacher is not None:
        model = model.with_pretrained(teacher, x, key=jax.random.key(1))
    return fit(model, x, training, key=jax.random.key(2), progress=False).model


@pytest.fixture(scope="module")
def distilled():
    """Its teacher is exact."""
    gap = ExponentialScheduleConfig(start=0.5, decay_rate=0.5, decay_steps=150, end=1 / 4)
    return trained(DiscreteConsistencyConfig(gap=gap), num_steps=1000, teacher=exact_flow())


@pytest.mark.parametrize("num_steps", [1, 2])
def test_distills_a_mixture(distilled, num_steps):
    """Weights within 4 standard errors and 0.02, means within 0.15 and spreads within 0.1."""
    sampled = distilled.sample(2000, key=jax.random.key(2), num_steps=num_steps)
    assert (sampled.num_evaluations == num_steps).all()
    samples = np.asarray(sampled.x)
    right = samples[:, 0] > 0
    assert abs(right.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 2000) + 0.02
    for side, sign in ((right, 1.0), (~right, -1.0)):
        np.testing.assert_allclose(samples[side].mean(0), [sign, 0.5 * sign], atol=0.15)
        np.testing.assert_allclose(samples[side].std(0), 0.2, atol=0.1)


@pytest.mark.parametrize(
    "objective",
    [
        DiscreteConsistencyConfig(
            gap=ExponentialScheduleConfig(start=1.0, decay_rate=0.5, decay_steps=80, end=1 / 16), huber=1.0
        ),
        ContinuousConsistencyConfig(warmup=LinearScheduleConfig(num_steps=200), normalization=None),
    ],
    ids=["discrete", "continuous"],
)
def test_learns_a_mixture_from_data(objective):
    """Mean and spread of all samples; without a teacher the gradient is noisy, so within 4 standard errors and 0.15."""
    model = trained(objective, num_steps=500)
    std = np.array([np.sqrt(0.75 + 0.04), np.sqrt(0.75 / 4 + 0.04)])
    for num_steps in (1, 2):
        samples = np.asarray(model.sample(2000, key=jax.random.key(2), num_steps=num_steps).x)
        assert (np.abs(samples.mean(0) - [0.5, 0.25]) < 4 * std / np.sqrt(2000) + 0.15).all()
        assert (np.abs(samples.std(0) - std) < 4 * std / np.sqrt(2 * 2000) + 0.15).all()


class TestModel:
    """Its methods."""

    def test_boundary(self, distilled):
        """At t = 0 every network leaves the data as they are, exactly."""
        x = jax.random.normal(jax.random.key(0), (5, 2))
        other = distilled.config.replace(teacher=None)
        for model in (distilled, create_model(other, key=jax.random.key(3))):
            np.testing.assert_array_equal(model.jump(x, 0.0), x)

    def test_sample_is_generate(self, distilled, key):
        """With nothing said, with the config's words, and with the times themselves."""
        expected = distilled.generate(3, key=key)
        np.testing.assert_array_equal(distilled.sample(3, key=key).x, expected)
        said = distilled.sample(3, key=key, times=[1.0, 0.0], keep_trajectory=True)
        np.testing.assert_array_equal(said.x, expected)
        np.testing.assert_array_equal(said.trajectory[:, -1], expected)

    def test_wrong_use(self, distilled, key):
        """Errors say what is required."""
        with pytest.raises(ValueError, match="needs the `consistency` sampler"):
            distilled.sample(1, key=key, sampler=DDIMSamplerConfig())
        with pytest.raises(ValueError, match="`times`, or `num_steps`"):
            distilled.sample(1, key=key, times=[1.0, 0.0], num_steps=1)
        with pytest.raises(ValueError, match="`prediction` must be `v` or `edm`"):
            ConsistencyConfig(prediction=DataPredictionConfig())
        with pytest.raises(ValueError, match="`sampler` of a consistency model must be"):
            ConsistencyConfig(sampler=DDIMSamplerConfig())
        with pytest.raises(ValueError, match="`sampler` of a diffusion model must be one that follows"):
            FlowMatchingConfig(sampler=ConsistencySamplerConfig())
        with pytest.raises(ValueError, match="ConsistencySampler needs a consistency model"):
            exact_flow().sample(1, key=key, sampler="consistency")
        with pytest.raises(ValueError, match="`teacher` must have the model's `event_shape`"):
            ConsistencyConfig(event_shape=(2,), teacher=FlowMatchingConfig(event_shape=(3,)))


@pytest.fixture(scope="module")
def pair():
    """A student with its teacher, and the teacher."""
    same = {
        "event_shape": (2,),
        "num_classes": 3,
        "network": SMALL,
        "path": TrigonometricPathConfig(),
        "prediction": VPredictionConfig(),
        "level": TimeLevelConfig(),
    }
    teacher = FlowMatchingConfig(**same, condition_dropout=0.2, guidance_scale=2.0)
    config = ConsistencyConfig(**same, teacher=teacher, objective=CONTINUOUS)
    student = create_model(config, key=jax.random.key(0))
    trained = create_model(teacher, key=jax.random.key(1))
    assert not student.has_pretrained
    return student.with_pretrained(
        trained, jnp.zeros((1, 2)), jnp.zeros(1, int), key=jax.random.key(2)
    ), trained


def sizes(jaxpr):
    """Of all arrays that a program computes, those of its parts too."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.size for variable in equation.outvars)
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from sizes(inner)


class TestTeacher:
    """Distillation."""

    def test_starts_from_the_teacher(self, pair, key):
        """The student's first words are the teacher's, in arrays of its own."""
        student, teacher = pair
        assert student.has_pretrained
        x, labels = jax.random.normal(key, (3, 2)), jnp.arange(3)
        np.testing.assert_allclose(
            student.jump(x, 0.4, labels), teacher.denoise(x, 0.4, labels).data, rtol=1e-6
        )
        ours, theirs = (jax.tree.leaves(model.network) for model in (student, teacher))
        assert all(a is not b for a, b in zip(ours, theirs, strict=True))

    def test_follows_the_guided_teacher(self, pair, key):
        """The trajectory's direction is the guided estimate, at the noisy example, whatever made it."""
        student, teacher = pair
        x, noise, noisy = jax.random.normal(key, (3, 2))
        ours = student._direction(x, noise, jnp.asarray(1))(noisy, jnp.float32(0.4))
        theirs = teacher._denoiser(jnp.asarray(1), GuidanceConfig(scale=2.0))(noisy, jnp.float32(0.4))
        np.testing.assert_allclose(ours.data, theirs.data, rtol=1e-6)

    def test_examples_share_the_weights(self, pair, key):
        """No array of the loss is as large as a copy of a weight for every example."""
        student, teacher = pair
        config = student.config.replace(objective=DiscreteConsistencyConfig())
        model = create_model(config, key=key).with_pretrained(teacher, jnp.zeros((1, 2)), key=key)
        x, labels = jnp.zeros((64, 2)), jnp.zeros(64, int)
        program = jax.make_jaxpr(lambda x: model._loss_batch(x, labels, key=key, step=STEP).total)(x)
        assert max(sizes(program.jaxpr)) < 64 * SMALL.hidden_size**2

    def test_another_network_starts_on_its_own(self, pair):
        """What the teacher's weights would not mean is not taken over."""
        student, teacher = pair
        config = student.config.replace(network=MLPDenoiserConfig(hidden_size=8))
        other = create_model(config, key=jax.random.key(0))
        taught = other.with_pretrained(teacher, jnp.zeros((1, 2)), key=jax.random.key(2))
        assert jax.tree.structure(taught.network) == jax.tree.structure(other.network)
        seeing_itself = student.config.teacher.replace(has_self_conditioning=True)
        other_config = student.config.replace(teacher=seeing_itself)
        other = create_model(other_config, key=jax.random.key(0))
        taught = other.with_pretrained(
            create_model(seeing_itself, key=jax.random.key(1)), jnp.zeros((1, 2)), key=jax.random.key(2)
        )
        np.testing.assert_array_equal(taught.network.out.weight, other.network.out.weight)
        with pytest.raises(ValueError, match="must have the config"):
            wrong = create_model(teacher.config.replace(guidance_scale=1.0), key=jax.random.key(0))
            other.with_pretrained(wrong, jnp.zeros((1, 2)), key=jax.random.key(2))
