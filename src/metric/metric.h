/* The canonical float64 dot product and the metrics on it: the arithmetic that decides everything.
 *
 * Canonical dot of two float32 vectors: eight float64 accumulators, element j goes to accumulator j mod 8 in
 * ascending j, result ((s0+s1)+(s2+s3))+((s4+s5)+(s6+s7)). A product of two float32 is exact in float64, so
 * fused and separate multiply-add give the same bits, and so does every instruction set.
 *
 * sql2 is e = (n_i + n_j) - 2 g where e is at least a 1024th of n_i + n_j. Below, e would be what is left of
 * numbers that cancel, so there it is the sum of squared differences; l2 is its root. That choice is made for
 * every pair by itself, and only in trm_distance and trm_distance_tile. Pure C; not collective. */
#ifndef TRM_METRIC_METRIC_H
#define TRM_METRIC_METRIC_H

#include "base/word.h"
#include "trimine/metric.h"

#include <stdint.h>

/* The names of the metrics. */
extern const trm_words trm_metric_words;

/* Canonical dot of x and y (dim float32 each). */
double trm_dot(const float *x, const float *y, int dim);

/* Canonical dots of rows a[0..rows) with b[0..cols), both row-major with dim floats a row:
 * out[i * stride + j] = trm_dot(a_i, b_j), to the bit; blocked in registers, several times as fast. */
void trm_dot_tile(const float *a, int rows, const float *b, int cols, int dim, double *out, int64_t stride);

/* Sum of the squared differences of x and y, with the same eight accumulators and order as the canonical dot;
 * difference, square and sum are each rounded to float64. Half of trm_distance, and what bounds norms after a shift. */
double trm_squared_difference(const float *x, const float *y, int dim);

/* The similarity that a distance stands for: 1 - d under cosine, -d under the others. */
static inline double trm_similarity(trm_metric metric, double d)
{
    return metric == TRM_METRIC_COSINE ? 1.0 - d : -d;
}

/* The canonical distance of rows x and y, dim float32 each. norm2_x, norm2_y: canonical dots of each with
 * itself; under cosine the caller may have raised them, not under the others. dot: where the canonical dot of
 * the two goes, or NULL. distance(x, y) = distance(y, x) to the bit; of equal rows it is 0 (not under dot).
 */
double trm_distance(trm_metric metric, const float *x, double norm2_x, const float *y, double norm2_y,
                    int dim, double *dot);

/* Canonical distances of rows a[0..rows) with b[0..cols), to the bit: out[i * stride + j]. dots: as large,
 * where the canonical dots go, or NULL. */
void trm_distance_tile(trm_metric metric, const float *a, const double *a_norm2, int rows, const float *b,
                       const double *b_norm2, int cols, int dim, double *out, double *dots, int64_t stride);

#endif
