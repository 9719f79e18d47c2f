"""Which builder makes a model from which config. It stands in core, so that every family can enter itself."""

from collections.abc import Callable
from typing import Any, TypeVar

from artifex.generative_models.core.configuration import ModelConfig
from artifex.utils.messages import unknown_name

BuilderT = TypeVar("BuilderT", bound=Callable[..., Any])

_BUILDERS: dict[type[ModelConfig], Callable[..., Any]] = {}


def register_model(config_class: type[ModelConfig]) -> Callable[[BuilderT], BuilderT]:
    """Decorator that names the builder of a config class: a model class, or a function.

    The builder is called as `builder(config, key=key)`.

        @register_model(MyConfig)
        class MyModel(AbstractGenerativeModel): ...

    Raises:
        ValueError: another builder is registered for the class already.
    """

    def decorate(builder: BuilderT) -> BuilderT:
        known = _BUILDERS.get(config_class)
        if known is not None and _name(known) != _name(builder):
            raise ValueError(f"{config_class.__name__} is built by {_name(known)} already")
        _BUILDERS[config_class] = builder
        return builder

    return decorate


def model_builder(config_class: type[ModelConfig]) -> Callable[..., Any]:
    """The builder of exactly this class of config.

    Raises:
        LookupError: there is none; a builder of a neighbouring class is never taken instead.
    """
    builder = _BUILDERS.get(config_class)
    if builder is None:
        names = [cls.__name__ for cls in _BUILDERS]
        raise LookupError(
            unknown_name("model config", config_class.__name__, names)
            + " Register its builder with @register_model."
        )
    return builder


def _name(builder: Callable[..., Any]) -> str:
    return f"{builder.__module__}.{builder.__qualname__}"
