"""Attention-pooled probes: writes attention.json beside itself. Needs numpy, scipy, scikit-learn and torch."""

import json
import os

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression


def X(n, d, seed):
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, d + 1)[None, :]
    return np.sin(0.7 * i * j + 1.3 * seed * i + 0.11 * j * seed + seed)


def bags(d):
    """30 bags of 1 to 5 tokens; in positives the token i mod size is moved along columns 0 and 2."""
    sizes = [i % 5 + 1 for i in range(30)]
    y = np.array([1 if 7 * i % 5 < 2 else 0 for i in range(1, 31)])
    tokens = X(sum(sizes), d, 4)
    start = 0
    for i, size in enumerate(sizes):
        if y[i]:
            tokens[start + i % size, 0] += 1.5
            tokens[start + i % size, 2] -= 0.8
        start += size
    return tokens, sizes, y


def fit(tokens, sizes, y, c, standardise, intercept):
    n, d = len(sizes), tokens.shape[1]
    mean = tokens.mean(0) if intercept or standardise else np.zeros(d)
    scale = tokens.std(0) if standardise else np.ones(d)
    z = torch.tensor((tokens - mean) / scale)
    bag = torch.tensor(np.repeat(np.arange(n), sizes))
    sign = torch.tensor(2.0 * y - 1)

    def scores(theta):
        w, q = theta[:d], theta[d : 2 * d]
        total = theta.new_zeros(n)
        logits = z @ q
        top = torch.stack([logits[bag == i].max() for i in range(n)]).detach()
        weight = torch.exp(logits - top[bag])
        norm = total.index_add(0, bag, weight)
        pooled = theta.new_zeros(n).index_add(0, bag, weight * (z @ w)) / norm
        return pooled + (theta[2 * d] if intercept else 0)

    def loss(values):
        theta = torch.tensor(values, requires_grad=True)
        penalty = (theta[: 2 * d] ** 2).sum() / 2
        out = penalty + c * torch.nn.functional.softplus(-sign * scores(theta)).sum()
        out.backward()
        return out.item(), theta.grad.numpy()

    pooled = np.stack([z[bag == i].mean(0).numpy() for i in range(n)])
    first = LogisticRegression(C=c, fit_intercept=intercept, solver='newton-cholesky', tol=1e-13).fit(pooled, y)
    start = np.concatenate([first.coef_[0], np.zeros(d), first.intercept_ if intercept else [0.0]])
    found = minimize(loss, start, jac=True, method='BFGS', options={'gtol': 1e-9, 'maxiter': 5000})
    value, gradient = loss(found.x)
    assert np.abs(gradient).max() < 1e-7, np.abs(gradient).max()
    theta = torch.tensor(found.x)
    return {
        'd': d, 'c': c, 'standardise': standardise, 'intercept': intercept,
        'start_value': loss(start)[0], 'value': value,
        'coef': found.x[:d].tolist(), 'query': found.x[d : 2 * d].tolist(),
        'scores': scores(theta).numpy().tolist(),
    }


cases = [fit(*bags(d), c, s, i) for d, c, s, i in [(5, 1.0, False, True), (5, 10.0, True, True), (5, 0.3, True, False), (40, 1.0, True, True)]]
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'attention.json'), 'w') as out:
    json.dump(cases, out, separators=(',', ':'))
