"""The surrogate: a Gaussian process that predicts the error after a full training from short and full trainings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

_ROOT5 = 5.0**0.5
_OFFSET = 4.0  # prior variance of the level and of its slope over fidelities, in units of log error
# Centres and widths of the normal priors over the logarithms of `KernelParameters`, in that order.
_CENTRE = np.log([0.5, 2.5, 0.3, 1.5, 0.1, 2.0, 0.05])
_WIDTH = np.array([0.8, 0.6, 0.8, 0.6, 0.7, 0.7, 0.7])


class KernelParameters(NamedTuple):
    """Parameters of the covariance that are learned. Variances are in units of squared log error.

    Attributes:
        graph_variance: Of the kernel over graph features.
        graph_length: Its length scale.
        choice_variance: Of the kernel over choices.
        choice_length: Its length scale.
        own_variance: Of what only this network has.
        fidelity_length: Length scale over fidelities.
        noise_variance: Between trainings of one network, beyond the counting of samples.
    """

    graph_variance: float
    graph_length: float
    choice_variance: float
    choice_length: float
    own_variance: float
    fidelity_length: float
    noise_variance: float

    @classmethod
    def of(cls, logarithms: Array) -> KernelParameters:
        """The parameters from their logarithms. Shape: (7,)."""
        return cls(*np.exp(logarithms))


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


class MultiFidelityGP:
    """A Gaussian process over (network, fidelity).

    Its covariance is the sum of a kernel over graph features, a kernel over choices and a variance of each network's
    own. All three decay with the distance between fidelities, so that the record decides how much a short training
    says about a full one. Level and slope over fidelities are learned too.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, chapters 2 and 5; Kennedy and
    O'Hagan, Predicting the output from a complex computer code when fast approximations are available, 2000.

    Attributes:
        means: Of the logarithm of the error after a full training, of each network conditioned on. Shape: (u,).
    """

    def __init__(self) -> None:
        self._kernel = KernelParameters.of(_CENTRE)
        self._seen: Observations | None = None

    def learn(self, seen: Observations) -> None:
        """Chooses the kernel's parameters by their posterior; `condition` must follow."""
        optimum = minimize(_loss(seen), _CENTRE, jac=True, method="L-BFGS-B", options={"maxiter": 25})
        self._kernel = KernelParameters.of(np.asarray(optimum.x))

    def condition(self, seen: Observations) -> None:
        """Takes in what was seen, with the covariance as it is.

        Trainings under way are taken to go as expected: they change what is uncertain, not what is likely.
        """
        self._seen, ended = seen, len(seen.error)
        self._scale = _Standardizer.of(seen)
        self._graph = self._scale(seen.graph)
        alike = AdditiveKernel(self._kernel, self._graph, self._graph, seen.choices, seen.choices)
        alike.smooth[np.diag_indices_from(alike.smooth)] += self._kernel.own_variance
        kernel = alike.smooth[seen.network][:, seen.network]
        kernel *= np.exp(-np.abs(seen.fidelity[:, None] - seen.fidelity) / self._kernel.fidelity_length)
        kernel += _OFFSET * (1 + seen.fidelity[:, None] * seen.fidelity)
        kernel[np.diag_indices_from(kernel)] += seen.variance + self._kernel.noise_variance
        self._root = cholesky(kernel, lower=True, check_finite=False)
        self._mean = float(seen.error.mean())
        self._weights = np.zeros(len(kernel))
        self._weights[:ended] = cho_solve((self._root[:ended, :ended], True), seen.error - self._mean)
        self._damp = np.exp(seen.fidelity / self._kernel.fidelity_length)
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
        alike = AdditiveKernel(
            self._kernel, self._scale(graph), self._graph, choices, self._seen.choices
        ).smooth
        alike[same >= 0, same[same >= 0]] += self._kernel.own_variance
        cross = self._crossed(alike)
        parts = (self._kernel.graph_variance, self._kernel.choice_variance, self._kernel.own_variance)
        prior = np.sum(parts) + _OFFSET
        left = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        spread = np.sqrt(np.maximum(prior - np.einsum("ij,ij->j", left, left), 1e-9))
        return self._mean + cross @ self._weights, spread


def _loss(seen: Observations) -> Callable[[Array], tuple[float, Array]]:
    """The negative logarithm of the posterior of the kernel's parameters, and its gradient, by their logarithms."""
    graph = _Standardizer.of(seen)(seen.graph)
    whose = np.ix_(seen.network, seen.network)
    apart_in_fidelity = np.abs(seen.fidelity[:, None] - seen.fidelity)
    same = (seen.network[:, None] == seen.network).astype(np.float64)
    offset = _OFFSET * (1 + seen.fidelity[:, None] * seen.fidelity)
    target = seen.error - seen.error.mean()

    def loss(logarithms: Array) -> tuple[float, Array]:
        parameters = KernelParameters.of(logarithms)
        alike = AdditiveKernel(parameters, graph, graph, seen.choices, seen.choices)
        damp = np.exp(-apart_in_fidelity / parameters.fidelity_length)
        own = parameters.own_variance * same * damp
        smooth = alike.smooth[whose] * damp + own
        noise = parameters.noise_variance
        try:
            root = cholesky(smooth + offset + np.diag(seen.variance + noise), lower=True)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(logarithms)
        weights = cho_solve((root, True), target)
        value = 0.5 * float(target @ weights) + float(np.log(np.diag(root)).sum())
        pull = cho_solve((root, True), np.eye(len(target))) - np.outer(weights, weights)
        pulled = pull * damp
        gradient = [0.5 * float((pulled * slope[whose]).sum()) for slope in alike.slopes()]
        gradient.append(0.5 * float((pull * own).sum()))
        gradient.append(0.5 * float((pull * smooth * apart_in_fidelity).sum() / parameters.fidelity_length))
        gradient.append(0.5 * float(np.trace(pull)) * noise)
        apart = (logarithms - _CENTRE) / _WIDTH
        return value + 0.5 * float(apart @ apart), np.array(gradient) + apart / _WIDTH

    return loss


class AdditiveKernel:
    """Covariance between networks: Matern 5/2 over graph features plus squared exponential over choices.

    Attributes:
        smooth: The sum of both parts. Shape: (n, f), (m, f), (n, c), (m, c) -> (n, m).
    """

    def __init__(
        self, parameters: KernelParameters, graph: Array, other_graph: Array, choices: Array, other: Array
    ) -> None:
        self._amp_g, len_g, amp_c, len_c = parameters[:4]
        self._u = np.sqrt(_squares(graph, other_graph))
        self._u *= _ROOT5 / len_g
        self._decay = np.exp(-self._u)
        self._v = _squares(choices, other)
        self._v /= len_c**2
        self._of_choices = amp_c * np.exp(-0.5 * self._v)
        self._of_graph = self._amp_g * (1 + self._u * (1 + self._u / 3)) * self._decay
        self.smooth = self._of_graph + self._of_choices

    def slopes(self) -> tuple[Array, ...]:
        """Derivatives of `smooth` by the logarithms of the first four parameters."""
        u = self._u
        by_len_g = self._amp_g * (u * u * (1 + u) / 3) * self._decay
        return self._of_graph, by_len_g, self._of_choices, self._of_choices * self._v


def _squares(first: Array, second: Array) -> Array:
    """Squared distances between rows. Shape: (n, f), (m, f) -> (n, m)."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T
    return np.asarray(np.maximum(squares, 0.0, out=squares))


@dataclass(frozen=True, slots=True)
class _Standardizer:
    """Scaling of features to unit variance."""

    mean: Array
    scale: Array

    @classmethod
    def of(cls, seen: Observations) -> _Standardizer:
        graph = seen.graph[seen.network[: len(seen.error)]]
        deviation = graph.std(0)
        scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0.0)
        return cls(graph.mean(0), scale / graph.shape[1] ** 0.5)

    def __call__(self, graph: Array) -> Array:
        return np.asarray((graph - self.mean) * self.scale)
