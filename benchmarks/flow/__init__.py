"""A spline flow, in every implementation that it is compared with."""
