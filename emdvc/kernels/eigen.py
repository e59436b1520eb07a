"""The largest eigenvalues of a symmetric matrix, with the same bits on every machine.

LAPACK's results differ in the last bits between processors and libraries. Here every sum has one order.

Method: Lanczos with full reorthogonalisation (Golub and Van Loan, Matrix Computations, 4th ed., 10.3), and the
implicitly shifted QR iteration for the tridiagonal matrix that it leaves (ibid., 8.3). Where the Krylov space is
exhausted (a matrix of low rank, or with equal eigenvalues) it starts anew with a vector outside of it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# residuals below this part of the largest eigenvalue count as zero
_TOLERANCE = 1e-14


def leading_eigenpairs(matrix: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the largest eigenvalues of a symmetric matrix and their vectors.

    Parameters
    ----------
    matrix
        Shape (n, n), symmetric and not negative definite: a matrix of sums of products.
    count
        How many, at most n.

    Returns
    -------
    values
        Shape (count,), descending.
    vectors
        Shape (count, n): unit vectors; their signs are arbitrary but always the same.
    """
    size = matrix.shape[0]
    matrix = np.ascontiguousarray(matrix, np.float64)
    basis = np.zeros((size, size))
    diagonal, beside = np.zeros(size), np.zeros(size)
    done, block = 0, 0  # vectors of the basis; the first since the space was exhausted
    target = min(size, 2 * count + 20)
    while True:
        done, exhausted = _lanczos(matrix, basis, diagonal, beside, done, target, block, _TOLERANCE)
        if done == size:
            break
        values, last = _ritz_ends(diagonal, beside, 0, done)
        enough = done >= count
        if exhausted:
            # what a new start found outside lies below all that is wanted: so does the rest
            if enough and block > 0 and _ritz_ends(diagonal, beside, block, done)[0][0] <= values[count - 1]:
                break
            block, target = done, min(size, max(target, done + 2))
            continue
        small = _TOLERANCE * max(abs(values[0]), abs(values[-1]))
        if enough and (abs(beside[done - 1] * last[:count]) <= small).all():
            since = _ritz_ends(diagonal, beside, block, done)[1][0] if block > 0 else 0.0
            if abs(beside[done - 1] * since) <= small:
                break
        target = min(size, target + max(16, target // 3))
    d, rotations = diagonal[:done].copy(), np.eye(done)
    _diagonalise(d, _shifted(beside[: done - 1]), rotations)
    order = np.argsort(-d, kind="stable")[:count]
    vectors = np.zeros((count, size))
    _combine(basis, rotations, order, done, vectors)
    return d[order], vectors


def _shifted(beside: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append(beside, 0.0)


def _ritz_ends(
    diagonal: NDArray[np.float64], beside: NDArray[np.float64], start: int, stop: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # eigenvalues of a part of the tridiagonal matrix, descending, and the last element of each vector
    d = diagonal[start:stop].copy()
    last = np.zeros((stop - start, 1))
    last[-1, 0] = 1.0
    _diagonalise(d, _shifted(beside[start : stop - 1]), last)
    order = np.argsort(-d, kind="stable")
    return d[order], last[order, 0]


@njit(nogil=True, cache=True, error_model="numpy")
def _dot(a, b):  # type: ignore[no-untyped-def]
    # eight sums side by side, added at the end: one order, in a form that fits SIMD registers
    s0, s1, s2, s3, s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = a.shape[0] // 8 * 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for i in range(whole, a.shape[0]):
        total += a[i] * b[i]
    return total


@njit(nogil=True, cache=True, error_model="numpy")
def _orthogonal(vector, basis, done):  # type: ignore[no-untyped-def]
    # twice is enough (Kahan and Parlett)
    for _ in range(2):
        for i in range(done):
            part = _dot(basis[i], vector)
            for j in range(vector.shape[0]):
                vector[j] -= part * basis[i, j]


@njit(nogil=True, cache=True, error_model="numpy")
def _start(vector, number):  # type: ignore[no-untyped-def]
    # a fixed sequence of numbers between -1 and 1 (Park and Miller's generator)
    state = np.int64(20071 + 7919 * number)
    for j in range(vector.shape[0]):
        state = (state * 48271) % 2147483647
        vector[j] = state / 1073741823.5 - 1.0


@njit(nogil=True, cache=True, error_model="numpy")
def _lanczos(matrix, basis, diagonal, beside, done, target, block, tolerance):  # type: ignore[no-untyped-def]
    # From `done` vectors to `target`; earlier where the space is exhausted. beside[i] couples vector i and i + 1.
    size = matrix.shape[0]
    vector = np.empty(size)
    scale = 0.0
    for i in range(done):
        scale = max(scale, abs(diagonal[i]) + abs(beside[i]))
    while done < target:
        if done == block:
            norm = 0.0
            number = done
            while norm < 1e-8:
                _start(vector, number)
                first = np.sqrt(_dot(vector, vector))
                _orthogonal(vector, basis, done)
                norm = np.sqrt(_dot(vector, vector)) / first
                number += size
            length = np.sqrt(_dot(vector, vector))
        else:
            length = beside[done - 1]
            for j in range(size):
                vector[j] = basis[done, j]
        for j in range(size):
            basis[done, j] = vector[j] / length
        _orthogonal(basis[done], basis, done)
        length = np.sqrt(_dot(basis[done], basis[done]))
        for j in range(size):
            basis[done, j] /= length
        for i in range(size):
            vector[i] = _dot(matrix[i], basis[done])
        diagonal[done] = _dot(vector, basis[done])
        _orthogonal(vector, basis, done + 1)
        beside[done] = np.sqrt(_dot(vector, vector))
        scale = max(scale, abs(diagonal[done]) + beside[done])
        done += 1
        if beside[done - 1] <= tolerance * scale:
            beside[done - 1] = 0.0
            return done, True
        if done < size:
            for j in range(size):
                basis[done, j] = vector[j]  # not yet of length 1
    return done, False


@njit(nogil=True, cache=True, error_model="numpy")
def _diagonalise(d, e, z):  # type: ignore[no-untyped-def]
    # The tridiagonal matrix with diagonal d and e[i] between i and i + 1, in place; the rows of z, one for each
    # dimension, turn with it: from the unit matrix row i becomes the vector of eigenvalue d[i].
    high = d.shape[0] - 1
    steps = 0
    while high > 0 and steps < 60 * d.shape[0]:
        low = high
        while low > 0 and abs(e[low - 1]) > 1.1e-16 * (abs(d[low - 1]) + abs(d[low])):
            low -= 1
        if low > 0:
            e[low - 1] = 0.0
        if low == high:
            high -= 1
            continue
        steps += 1
        _chase(d, e, z, low, high)


@njit(nogil=True, cache=True, error_model="numpy")
def _chase(d, e, z, low, high):  # type: ignore[no-untyped-def]
    # one QR step on the part from `low` to `high`, shifted by the nearer eigenvalue of its last corner (Wilkinson)
    half = 0.5 * (d[high - 1] - d[high])
    corner = e[high - 1] * e[high - 1]
    root = np.sqrt(half * half + corner)
    shift = d[high] - corner / (half + (root if half >= 0.0 else -root))
    x, bulge = d[low] - shift, e[low]
    for k in range(low, high):
        length = np.sqrt(x * x + bulge * bulge)
        c, s = (x / length, bulge / length) if length > 0.0 else (1.0, 0.0)
        if k > low:
            e[k - 1] = length
        first, between, second = d[k], e[k], d[k + 1]
        mixed = 2.0 * c * s * between
        d[k] = c * c * first + s * s * second + mixed
        d[k + 1] = s * s * first + c * c * second - mixed
        e[k] = c * s * (second - first) + (c * c - s * s) * between
        if k < high - 1:
            x = e[k]
            bulge = s * e[k + 1]
            e[k + 1] = c * e[k + 1]
        for i in range(z.shape[1]):
            upper, lower = z[k, i], z[k + 1, i]
            z[k, i] = c * upper + s * lower
            z[k + 1, i] = c * lower - s * upper


@njit(nogil=True, cache=True, error_model="numpy")
def _combine(basis, rotations, order, done, vectors):  # type: ignore[no-untyped-def]
    for k in range(order.shape[0]):
        vector = vectors[k]
        for i in range(done):
            part = rotations[order[k], i]
            for j in range(vector.shape[0]):
                vector[j] += part * basis[i, j]
        length = np.sqrt(_dot(vector, vector))
        for j in range(vector.shape[0]):
            vector[j] /= length
