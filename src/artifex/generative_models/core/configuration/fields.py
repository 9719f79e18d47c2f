"""Field types with ranges, shared by all configs."""

from typing import Annotated

from pydantic import Field

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
UnitFloat = Annotated[float, Field(ge=0.0, le=1.0)]

# A list, as YAML and JSON have it, is taken for a tuple.
Sizes = Annotated[tuple[PositiveInt, ...], Field(strict=False)]
Indices = Annotated[tuple[NonNegativeInt, ...], Field(strict=False)]
Shape = Annotated[tuple[PositiveInt, ...], Field(strict=False, min_length=1)]
Floats = Annotated[tuple[float, ...], Field(strict=False)]
Strings = Annotated[tuple[str, ...], Field(strict=False)]
TokenShape = Annotated[tuple[PositiveInt, PositiveInt], Field(strict=False)]
