"""The surrogate: a Gaussian process that learns from short and full trainings how accurate networks become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

_ROOT5 = 5.0**0.5
_OFFSET = 4.0  # prior variance of the level and of its slope over fidelities, in units of log error
# Logarithms of: amplitude and length of the graph's kernel, of the choices' kernel, amplitude of what only this
# network has, length over fidelities, variance of the noise. Centres and widths of normal priors, in log error.
_CENTRE = np.log([0.5, 2.5, 0.3, 1.5, 0.1, 2.0, 0.05])
_WIDTH = np.array([0.8, 0.6, 0.8, 0.6, 0.7, 0.7, 0.7])


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """What trainings came to, one row each.

    Attributes:
        graph: Features of the graphs. Shape: (n, f).
        choices: Places of the choices. Shape: (n, c).
        network: Which network it was; equal numbers are the same one. Shape: (n,).
        fidelity: 0 for the full training, less for shorter ones. Shape: (n,).
        error: Logarithm of the validation error. Shape: (n,).
        variance: Of `error`, from counting that many samples. Shape: (n,).
    """

    graph: Array
    choices: Array
    network: npt.NDArray[np.int64]
    fidelity: Array
    error: Array
    variance: Array

    def with_errors(self, error: Array, variance: Array | None = None) -> Observations:
        """The same trainings, with what they came to."""
        return replace(self, error=error, variance=self.variance if variance is None else variance)


class Surrogate:
    """A Gaussian process over (network, fidelity).

    Its covariance adds a smooth part over what the graph is like, one over the choices, and one of each network
    alone; each is damped by the distance between fidelities, so a short training tells of the full one as much as
    the record shows that it does. Level and slope over fidelities are learned too.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5; Kennedy and
    O'Hagan, Predicting the output from a complex computer code when fast approximations are available, 2000.
    """

    def __init__(self) -> None:
        self._theta = _CENTRE.copy()
        self._seen: Observations | None = None

    def learn(self, seen: Observations) -> None:
        """Chooses the covariance's seven numbers by their posterior; `condition` must follow."""
        found = minimize(_loss(seen), _CENTRE, jac=True, method="L-BFGS-B", options={"maxiter": 25})
        self._theta = np.asarray(found.x)

    def condition(self, seen: Observations, expected: Observations | None = None) -> None:
        """Takes in what was seen, with the covariance as it is.

        Args:
            seen: The record.
            expected: Trainings that are taken to go as expected: they change what is uncertain, not what is likely.
        """
        self._scale = _standard(seen.graph)
        self._seen, self._graph = seen, self._scale(seen.graph)
        self._mean = float(seen.error.mean())
        self._root = cholesky(self._noisy(self._graph, seen), lower=True)
        self._weights = cho_solve((self._root, True), seen.error - self._mean)
        if expected is None:
            return
        graph = self._scale(expected.graph)
        cross, _ = _Distances.of(graph, expected, self._graph, seen).kernel(self._theta)
        below = solve_triangular(self._root, cross.T, lower=True)
        corner = cholesky(self._noisy(graph, expected) - below.T @ below, lower=True)
        self._root = np.block([[self._root, np.zeros_like(below)], [below.T, corner]])
        self._weights = np.append(self._weights, np.zeros(len(graph)))
        self._seen, self._graph = joined(seen, expected), np.concatenate([self._graph, graph])

    def _noisy(self, graph: Array, seen: Observations) -> Array:
        kernel, _ = _Distances.of(graph, seen, graph, seen).kernel(self._theta)
        return kernel + np.diag(seen.variance + np.exp(self._theta[6]))

    def predict(self, asked: Observations) -> tuple[Array, Array]:
        """Mean and standard deviation of the logarithm of the error, without the noise of a training.

        Shape: (m,) each. The errors and variances of `asked` are not looked at.
        """
        assert self._seen is not None
        parts = _Distances.of(self._scale(asked.graph), asked, self._graph, self._seen)
        cross, _ = parts.kernel(self._theta)
        mean = self._mean + cross @ self._weights
        amplitude = np.exp(self._theta[[0, 2, 4]]).sum()
        prior = amplitude + _OFFSET * (1 + asked.fidelity**2)
        left = solve_triangular(self._root, cross.T, lower=True)
        return mean, np.sqrt(np.maximum(prior - (left**2).sum(0), 1e-9))


def _loss(seen: Observations) -> Callable[[Array], tuple[float, Array]]:
    """The negative logarithm of the posterior of the covariance's numbers, and its gradient."""
    graph = _standard(seen.graph)(seen.graph)
    parts = _Distances.of(graph, seen, graph, seen)
    target = seen.error - seen.error.mean()

    def loss(theta: Array) -> tuple[float, Array]:
        kernel, slopes = parts.kernel(theta, slopes=True)
        noise = np.exp(theta[6])
        try:
            root = cholesky(kernel + np.diag(seen.variance + noise), lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        weights = cho_solve((root, True), target)
        value = 0.5 * float(target @ weights) + float(np.log(np.diag(root)).sum())
        pull = cho_solve((root, True), np.eye(len(target))) - np.outer(weights, weights)
        gradient = np.array([0.5 * float((pull * slope).sum()) for slope in slopes])
        gradient = np.append(gradient, 0.5 * float(np.trace(pull)) * noise)
        apart = (theta - _CENTRE) / _WIDTH
        return value + 0.5 * float(apart @ apart), gradient + apart / _WIDTH

    return loss


def joined(one: Observations, other: Observations) -> Observations:
    """Rows of both, one after the other."""
    names = Observations.__slots__
    return Observations(
        **{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names}
    )


@dataclass(frozen=True, slots=True)
class _Distances:
    graph: Array
    choices: Array
    same: Array
    fidelity: Array
    offset: Array

    @classmethod
    def of(cls, graph: Array, seen: Observations, other_graph: Array, other: Observations) -> _Distances:
        return cls(
            _apart(graph, other_graph),
            _apart(seen.choices, other.choices),
            (seen.network[:, None] == other.network[None, :]).astype(np.float64),
            np.abs(seen.fidelity[:, None] - other.fidelity[None, :]),
            _OFFSET * (1 + seen.fidelity[:, None] * other.fidelity[None, :]),
        )

    def kernel(self, theta: Array, *, slopes: bool = False) -> tuple[Array, list[Array]]:
        """The covariance, and its derivatives by the first six of `theta`."""
        amp_g, len_g, amp_c, len_c, amp_n, len_f = np.exp(theta[:6])
        damp = np.exp(-self.fidelity / len_f)
        u = _ROOT5 * self.graph / len_g
        decay = np.exp(-u)
        graph = amp_g * (1 + u + u * u / 3) * decay * damp
        v = (self.choices / len_c) ** 2
        choices = amp_c * np.exp(-0.5 * v) * damp
        own = amp_n * self.same * damp
        smooth = graph + choices + own
        if not slopes:
            return smooth + self.offset, []
        by_len_g = amp_g * (u * u * (1 + u) / 3) * decay * damp
        return smooth + self.offset, [
            graph,
            by_len_g,
            choices,
            choices * v,
            own,
            smooth * (self.fidelity / len_f),
        ]


def _apart(one: Array, other: Array) -> Array:
    """Distances between rows. Shape: (n, f), (m, f) -> (n, m)."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None, :] - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


class _standard:  # noqa: N801 - used as a function
    """Scaling of features to unit variance."""

    def __init__(self, graph: Array) -> None:
        self._mean = graph.mean(0)
        deviation = graph.std(0)
        self._scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0) / graph.shape[1] ** 0.5

    def __call__(self, graph: Array) -> Array:
        return np.asarray((graph - self._mean) * self._scale)
