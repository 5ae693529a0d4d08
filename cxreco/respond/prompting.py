"""Fits what messages bring about: the hazard of an order because of a message, beside that of one that comes anyway.

Only training imports it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from cxreco.respond.head import Head, Prior, prior_head

F64 = NDArray[np.float64]
MOST, LEAST = 3.0, 1e-12


def fit_prompted(design: F64, offset: F64, alone: F64, y: F64, prior: Prior) -> Head:
    """Return the head of P(order) = 1 - (1 - alone) exp(-h), with log h = offset + design @ theta.

    Maximum a posteriori with the expected information as Laplace's precision. Source: binary regression of additive
    hazards (complementary log-log, McCullagh and Nelder 1989, section 4.3), as excess mortality is modelled beside a
    known background (Dickman, Sloggett, Hills and Hakulinen 2004).

    Parameters
    ----------
    design, offset
        (n, d) and (n,).
    alone
        (n,) chance of an order without the message.
    y
        (n,) whether an order came soon, 0 or 1.
    """
    if y.size == 0:
        return prior_head(prior)
    precision = 1.0 / prior.sd**2

    def parts(theta: F64) -> tuple[F64, F64]:
        free = offset + design @ theta
        hazard = np.exp(np.minimum(free, MOST))
        return hazard, hazard * (free < MOST)

    def loss(theta: F64) -> tuple[float, F64]:
        hazard, slope = parts(theta)
        none = np.maximum((1.0 - alone) * np.exp(-hazard), LEAST)
        some = np.maximum(1.0 - none, LEAST)
        apart = theta - prior.mean
        value = -np.sum(np.where(y > 0.0, np.log(some), np.log(none))) + 0.5 * np.sum(precision * apart**2)
        pull = np.where(y > 0.0, -none / some, 1.0) * slope
        return float(value), design.T @ pull + precision * apart

    best = minimize(loss, prior.mean, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    theta = np.asarray(best.x, dtype=np.float64)
    hazard, slope = parts(theta)
    none = np.clip((1.0 - alone) * np.exp(-hazard), LEAST, 1.0 - LEAST)
    information = slope**2 * none / (1.0 - none)
    precise = (design * information[:, None]).T @ design + np.diag(precision)
    report = {"rows": float(y.size), "rate": float(y.mean()), "alone": float(alone.mean())}
    covariance = np.asarray(np.linalg.inv(precise), dtype=np.float64)
    return Head(theta=theta, covariance=covariance, rows=int(y.size), report=report)
