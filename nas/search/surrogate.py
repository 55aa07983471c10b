"""The surrogate: a Gaussian process that learns from short and full trainings how accurate networks become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    """Networks, and what their trainings came to.

    Attributes:
        graph: Features of the graphs. Shape: (u, f).
        choices: Places of the choices. Shape: (u, c).
        network: Whose training each was: a row of the two above. Shape: (n,).
        fidelity: 0 for the full training, less for shorter ones. Shape: (n,).
        error: Logarithm of the validation error. Shape: (m,) with m <= n: the last ones are under way.
        variance: Of `error`, from counting that many samples. Shape: (n,).
    """

    graph: Array
    choices: Array
    network: npt.NDArray[np.int64]
    fidelity: Array
    error: Array
    variance: Array


class Surrogate:
    """A Gaussian process over (network, fidelity).

    Its covariance adds a smooth part over what the graph is like, one over the choices, and one of each network
    alone; each is damped by the distance between fidelities, so a short training tells of the full one as much as
    the record shows that it does. Level and slope over fidelities are learned too.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5; Kennedy and
    O'Hagan, Predicting the output from a complex computer code when fast approximations are available, 2000.

    Attributes:
        means: Of the logarithm of the error after a full training, of each network conditioned on. Shape: (u,).
    """

    def __init__(self) -> None:
        self._theta = _CENTRE.copy()
        self._seen: Observations | None = None

    def learn(self, seen: Observations) -> None:
        """Chooses the covariance's seven numbers by their posterior; `condition` must follow."""
        found = minimize(_loss(seen), _CENTRE, jac=True, method="L-BFGS-B", options={"maxiter": 25})
        self._theta = np.asarray(found.x)

    def condition(self, seen: Observations) -> None:
        """Takes in what was seen, with the covariance as it is.

        Trainings under way are taken to go as expected: they change what is uncertain, not what is likely.
        """
        self._seen, ended = seen, len(seen.error)
        self._scale = _Standard.of(seen)
        self._graph = self._scale(seen.graph)
        alike = _Alike(self._theta, self._graph, self._graph, seen.choices, seen.choices)
        alike.smooth[np.diag_indices_from(alike.smooth)] += np.exp(self._theta[4])
        kernel = alike.smooth[seen.network][:, seen.network]
        kernel *= np.exp(-np.abs(seen.fidelity[:, None] - seen.fidelity) / np.exp(self._theta[5]))
        kernel += _OFFSET * (1 + seen.fidelity[:, None] * seen.fidelity)
        kernel[np.diag_indices_from(kernel)] += seen.variance + np.exp(self._theta[6])
        self._root = cholesky(kernel, lower=True, check_finite=False)
        self._mean = float(seen.error.mean())
        self._weights = np.zeros(len(kernel))
        self._weights[:ended] = cho_solve((self._root[:ended, :ended], True), seen.error - self._mean)
        self._damp = np.exp(seen.fidelity / np.exp(self._theta[5]))
        self.means = self._mean + self._crossed(alike.smooth) @ self._weights

    def _crossed(self, alike: Array) -> Array:
        """Covariance of full trainings with what was seen. Shape: (m, u) -> (m, n)."""
        assert self._seen is not None
        return np.asarray(alike[:, self._seen.network] * self._damp + _OFFSET)

    def predict(self, graph: Array, choices: Array, same: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Mean and standard deviation of the logarithm of the error after a full training, without its noise.

        Args:
            graph: Features of the graphs. Shape: (m, f).
            choices: Places of the choices. Shape: (m, c).
            same: Which of the networks conditioned on each is; -1 for none. Shape: (m,).

        Returns:
            Shape: (m,) each.
        """
        assert self._seen is not None
        alike = _Alike(self._theta, self._scale(graph), self._graph, choices, self._seen.choices).smooth
        alike[same >= 0, same[same >= 0]] += np.exp(self._theta[4])
        cross = self._crossed(alike)
        prior = np.exp(self._theta[[0, 2, 4]]).sum() + _OFFSET
        left = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        spread = np.sqrt(np.maximum(prior - np.einsum("ij,ij->j", left, left), 1e-9))
        return self._mean + cross @ self._weights, spread


def _loss(seen: Observations) -> Callable[[Array], tuple[float, Array]]:
    """The negative logarithm of the posterior of the covariance's numbers, and its gradient."""
    graph = _Standard.of(seen)(seen.graph)
    whose = np.ix_(seen.network, seen.network)
    apart_in_fidelity = np.abs(seen.fidelity[:, None] - seen.fidelity)
    same = (seen.network[:, None] == seen.network).astype(np.float64)
    offset = _OFFSET * (1 + seen.fidelity[:, None] * seen.fidelity)
    target = seen.error - seen.error.mean()

    def loss(theta: Array) -> tuple[float, Array]:
        alike = _Alike(theta, graph, graph, seen.choices, seen.choices)
        damp = np.exp(-apart_in_fidelity / np.exp(theta[5]))
        own = np.exp(theta[4]) * same * damp
        smooth = alike.smooth[whose] * damp + own
        noise = np.exp(theta[6])
        try:
            root = cholesky(smooth + offset + np.diag(seen.variance + noise), lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        weights = cho_solve((root, True), target)
        value = 0.5 * float(target @ weights) + float(np.log(np.diag(root)).sum())
        pull = cho_solve((root, True), np.eye(len(target))) - np.outer(weights, weights)
        pulled = pull * damp
        gradient = [0.5 * float((pulled * slope[whose]).sum()) for slope in alike.slopes()]
        gradient.append(0.5 * float((pull * own).sum()))
        gradient.append(0.5 * float((pull * smooth * apart_in_fidelity).sum() / np.exp(theta[5])))
        gradient.append(0.5 * float(np.trace(pull)) * noise)
        apart = (theta - _CENTRE) / _WIDTH
        return value + 0.5 * float(apart @ apart), np.array(gradient) + apart / _WIDTH

    return loss


class _Alike:
    """How much networks share: Matern 5/2 over what their graphs are like, squared exponential over the choices.

    Attributes:
        smooth: The covariance of the two parts. Shape: (n, f), (m, f), (n, c), (m, c) -> (n, m).
    """

    def __init__(self, theta: Array, graph: Array, other_graph: Array, choices: Array, other: Array) -> None:
        self._amp_g, len_g, amp_c, len_c = np.exp(theta[:4])
        self._u = np.sqrt(_squares(graph, other_graph))
        self._u *= _ROOT5 / len_g
        self._decay = np.exp(-self._u)
        self._v = _squares(choices, other)
        self._v /= len_c**2
        self._of_choices = amp_c * np.exp(-0.5 * self._v)
        self._of_graph = self._amp_g * (1 + self._u * (1 + self._u / 3)) * self._decay
        self.smooth = self._of_graph + self._of_choices

    def slopes(self) -> tuple[Array, ...]:
        """Derivatives of `smooth` by the first four of `theta`."""
        u = self._u
        by_len_g = self._amp_g * (u * u * (1 + u) / 3) * self._decay
        return self._of_graph, by_len_g, self._of_choices, self._of_choices * self._v


def _squares(one: Array, other: Array) -> Array:
    """Squared distances between rows. Shape: (n, f), (m, f) -> (n, m)."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T
    return np.asarray(np.maximum(squares, 0.0, out=squares))


@dataclass(frozen=True, slots=True)
class _Standard:
    """Scaling of features to unit variance."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, seen: Observations) -> _Standard:
        graph = seen.graph[seen.network[: len(seen.error)]]
        deviation = graph.std(0)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
        return cls(graph.mean(0), scale / graph.shape[1] ** 0.5)

    def __call__(self, graph: Array) -> Array:
        return np.asarray((graph - self.mean) * self.scale)
