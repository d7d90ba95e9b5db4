"""Writes probes.json beside itself. Independent of our code: numpy and scikit-learn only. See how.md."""
import json
import os

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score


def X(n, d, seed):
    i = np.arange(1, n + 1)[:, None]
    j = np.arange(1, d + 1)[None, :]
    return np.sin(0.7 * i * j + 1.3 * seed * i + 0.11 * j * seed + seed)


def labels(n):
    return (np.arange(1, n + 1) * 7 % 5 < 2).astype(int)


def logistic(x, y, c, standardise, intercept):
    mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    if standardise:
        mean, scale = x.mean(0), x.std(0)
        scale[scale < 1e-12] = 1
    model = LogisticRegression(
        C=c, fit_intercept=intercept, solver='newton-cholesky', tol=1e-13, max_iter=10000
    ).fit((x - mean) / scale, y)
    return model, (lambda z: model.decision_function((z - mean) / scale))


def case(name, x, y, c, standardise, intercept):
    model, score = logistic(x, y, c, standardise, intercept)
    return {
        'name': name,
        'settings': {'c': c, 'standardise': standardise, 'intercept': intercept},
        'coef': model.coef_[0].tolist(),
        'intercept': float(model.intercept_[0]) if intercept else 0,
        'scores': score(x).tolist(),
    }


out = {}

# Columns of unequal size, away from the origin.
tall = X(60, 8, 2) * np.arange(1, 9) + np.arange(8)
y = labels(60)
constant = tall.copy()
constant[:, 3] = 2.7
wide = X(20, 50, 3)
separable = X(40, 5, 4)
apart = (separable @ np.array([1, -2, 0.5, 0, 1]) > 0).astype(int)
out['logistic'] = {
    'tall': [
        case('raw columns', tall, y, 1, False, True),
        case('without an intercept', tall, y, 1, False, False),
        case('standardised', tall, y, 0.1, True, True),
        case('standardised without an intercept', tall, y, 0.1, True, False),
        case('weak penalty', tall, y, 1000, False, True),
    ],
    'constant': [case('a constant column, standardised', constant, y, 1, True, True)],
    'wide': [
        case('fewer rows than columns', wide, labels(20), 1, False, True),
        case('fewer rows than columns, standardised', wide, labels(20), 10, True, True),
        case('fewer rows than columns, no intercept', wide, labels(20), 0.1, False, False),
    ],
    'separable': [
        case('separable classes', separable, apart, 1, False, True),
        case('separable classes, weak penalty', separable, apart, 1e4, False, True),
    ],
}

# Grouped folds: groups sorted, the i-th in fold i mod 5.
n = 120
rows = X(n, 10, 5)
truth = labels(n)
rows[:, 0] += 0.6 * truth
rows[:, 4] -= 0.4 * truth
groups = [f'topic-{k * k * 7 % 37}' for k in range(n)]
order = sorted(set(groups))
fold = np.array([order.index(g) % 5 for g in groups])
folds = {'mean_difference': [], 'mean_difference standardised': [], 'logistic': []}
for f in range(5):
    tr, te = fold != f, fold == f
    for name, scale in (('mean_difference', 1), ('mean_difference standardised', rows[tr].std(0))):
        z = rows / scale
        w = z[tr & (truth == 1)].mean(0) - z[tr & (truth == 0)].mean(0)
        folds[name].append(float(roc_auc_score(truth[te], z[te] @ w)))
    _, score = logistic(rows[tr], truth[tr], 0.1, True, True)
    folds['logistic'].append(float(roc_auc_score(truth[te], score(rows[te]))))
out['folds'] = {'fold': fold.tolist(), 'auroc_by_fold': folds}


def pca(x):
    centred = x - x.mean(0)
    _, s, vt = np.linalg.svd(centred, full_matrices=False)
    k = 4
    vt = np.array([v * np.sign(v[np.argmax(np.abs(v))]) for v in vt[:k]])
    return {
        'explained': (s**2 / (s**2).sum())[:k].tolist(),
        'variances': (s**2 / (len(x) - 1))[:k].tolist(),
        'components': vt.tolist(),
        'coordinates_first3': (centred @ vt.T)[:3].tolist(),
    }


out['pca'] = {'tall': pca(tall), 'wide': pca(X(12, 30, 2) * np.arange(1, 31))}

# Shifts, as in the definition: two sizes and the cosine between mean shifts.
before = X(24, 6, 1) + 2
after = before + 0.3 * X(24, 6, 2) + np.array([0.5, 0, -0.25, 0, 0, 0])
delta = after - before
sets = {'even': np.arange(24) % 2 == 0, 'third': np.arange(24) % 3 == 0}
shift = {}
for name, rows_of in sets.items():
    h = np.linalg.norm(before[rows_of], axis=1)
    shift[name] = {
        'relative_size': float(np.linalg.norm(delta[rows_of].mean(0)) / h.mean()),
        'mean_relative_size': float((np.linalg.norm(delta[rows_of], axis=1) / h).mean()),
    }
a, b = (delta[s].mean(0) for s in sets.values())
shift['cosine'] = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
plane = np.linalg.svd(delta - delta.mean(0), full_matrices=False)[2][:2]
inside = ((delta @ plane.T) ** 2).sum(1)
size = (delta**2).sum(1)
shift['plane'] = plane.tolist()
shift['in_plane_first4'] = (inside / size)[:4].tolist()
shift['in_plane_pooled'] = float(inside.sum() / size.sum())
out['shift'] = shift

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, 'probes.json'), 'w', encoding='utf-8') as file:
    json.dump(out, file, indent=1)
    file.write('\n')
