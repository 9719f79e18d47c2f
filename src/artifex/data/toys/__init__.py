"""Distributions of points in the plane whose samples, log-density and entropy are all known."""

from artifex.data.toys.base import AbstractToy
from artifex.data.toys.checkerboard import Checkerboard
from artifex.data.toys.curves import Spirals, TwoMoons
from artifex.data.toys.gaussians import Gaussians, eight_gaussians, gaussian_grid
from artifex.data.toys.make import make_toy
from artifex.data.toys.pinwheel import Pinwheel
from artifex.data.toys.rings import Rings
from artifex.data.toys.torus import TorusMixture
