"""Randomness that stays the same: seeded uniform numbers and what is made of them.

Only `Generator.random` is used. NumPy may change the algorithms behind `normal` and its like from
release to release; PCG64's 53-bit uniforms are the part that stands still, so every other
distribution is derived from them here.
"""

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Draws:
    """Draw reproducible random numbers.

    Parameters
    ----------
    seed : int
        Seed of the data set.
    *parts : str or int
        What the numbers are for (instrument, day, quantity). Streams with different parts are
        independent of each other, so adding one never changes another.
    """

    def __init__(self, seed: int, *parts: str | int) -> None:
        name = "/".join(str(part) for part in parts).encode()
        words = [seed, int.from_bytes(hashlib.sha256(name).digest()[:16], "big")]
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def uniform(self, size: int) -> Floats:
        """Return `size` numbers in [0, 1)."""
        return self._generator.random(size)

    def normal(self, size: int) -> Floats:
        """Return `size` standard normal numbers (Box-Muller); a longer draw extends a shorter."""
        pairs = self._generator.random(size + size % 2).reshape(-1, 2)
        radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
        angle = 2.0 * np.pi * pairs[:, 1]
        return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=1).ravel()[:size]

    def lognormal(self, median: float, sigma: float, size: int) -> Floats:
        """Return `size` log-normal numbers with the given median."""
        values = self.normal(size)
        values *= sigma
        np.exp(values, out=values)
        values *= median
        return values

    def smooth(self, size: int, memory: int) -> Floats:
        """Return a standard normal series that forgets itself over `memory` steps."""
        decay = np.exp(-np.arange(6 * memory) / memory)
        noise = self.normal(size + decay.size - 1)
        return np.convolve(noise, decay / np.sqrt(np.sum(decay**2)), mode="valid")


def hold[T: (Floats, Ints, Bools)](values: T, renew: Bools) -> T:
    """Keep each value until the next place where `renew` is true."""
    places = np.where(renew, np.arange(renew.size), 0)
    return values[np.maximum.accumulate(places)]


def walk(shocks: Floats, reversion: float) -> Floats:
    """Return the mean-reverting sums of daily shocks (one step a day, so a plain loop will do)."""
    level, levels = 0.0, []
    for shock in shocks.tolist():
        level = level * (1 - reversion) + shock
        levels.append(level)
    return np.array(levels)
