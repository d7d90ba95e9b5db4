"""The other side of bench/probes.mjs: scikit-learn on the same bytes, one thread, its own settings said below.

    python bench/probes.py FOLDER sweep|permutations|pca|pca_exact|check
"""

import os
import sys

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import json
import time
import warnings

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

warnings.filterwarnings("ignore")
folder, part = sys.argv[1:]
about = json.load(open(f"{folder}/about.json"))
n, d = about["n"], about["d"]


def load(site):
    x = np.fromfile(f"{folder}/x{site}.f32", np.float32).reshape(n, d)
    return x, np.fromfile(f"{folder}/labels{site}.u8", np.uint8)


sites = [load(site) for site in range(about["sites"])]
fold = np.fromfile(f"{folder}/folds.i32", np.int32)


def sweep():
    for x, y in sites:
        for k in range(5):
            train, test = x[fold != k], x[fold == k]
            scaler = StandardScaler().fit(train)
            train, test = scaler.transform(train), scaler.transform(test)
            for c in about["strengths"]:
                model = LogisticRegression(C=c, tol=about["tolerance"], max_iter=5000)
                model.fit(train, y[fold != k]).decision_function(test)


def permutations():
    x, y = sites[0]
    train, test = x[fold != 0], x[fold == 0]
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    random = np.random.default_rng(0)
    for _ in range(about["sample"]):
        model = LogisticRegression(C=0.01, tol=about["tolerance"], max_iter=5000)
        model.fit(train, random.permutation(y)[fold != 0]).decision_function(test)


def pca():
    PCA(10).fit(sites[0][0])


def pca_exact():
    PCA(10, svd_solver="covariance_eigh").fit(sites[0][0])


def check():
    """Ours against Newton's method run to the end, in float64: largest difference of a weight, by strength."""
    x, y = sites[0]
    train = StandardScaler().fit_transform(x[fold != 0].astype(np.float64))
    ours = np.fromfile(f"{folder}/weights.f64").reshape(len(about["strengths"]), d)
    gaps = []
    for c, weights in zip(about["strengths"], ours):
        model = LogisticRegression(C=c, solver="newton-cholesky", tol=1e-13, max_iter=200)
        gaps.append(float(np.abs(model.fit(train, y[fold != 0]).coef_[0] - weights).max()))
    return gaps


work = {"sweep": sweep, "permutations": permutations, "pca": pca, "pca_exact": pca_exact, "check": check}[part]
cpu, wall = time.process_time(), time.perf_counter()
result = work()
print(json.dumps({"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "result": result, "version": sklearn.__version__}))
