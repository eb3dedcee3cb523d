/* The canonical float64 dot product and the metrics on it: the arithmetic that decides everything.
 *
 * Canonical dot of two float32 vectors: eight float64 accumulators, element j goes to accumulator j mod 8 in
 * ascending j, result ((s0+s1)+(s2+s3))+((s4+s5)+(s6+s7)). A product of two float32 is exact in float64, so
 * fused and separate multiply-add give the same bits, and so does every instruction set. Pure C; not
 * collective. */
#ifndef TRM_METRIC_METRIC_H
#define TRM_METRIC_METRIC_H

#include "trimine/metric.h"

#include <math.h>
#include <stdint.h>

/* Canonical dot of x and y (dim float32 each). */
double trm_dot(const float *x, const float *y, int dim);

/* Canonical dots of rows a[0..rows) with b[0..cols), both row-major with dim floats a row:
 * out[i * stride + j] = trm_dot(a_i, b_j), to the bit; blocked in registers, several times as fast. */
void trm_dot_tile(const float *a, int rows, const float *b, int cols, int dim, double *out, int64_t stride);

/* Distance from a canonical dot g and the squared norms (canonical dots of each row with itself). */
static inline double trm_distance(trm_metric metric, double g, double norm2_i, double norm2_j)
{
    switch (metric) {
    case TRM_METRIC_SQL2:
    case TRM_METRIC_L2: {
        double d = (norm2_i + norm2_j) - 2.0 * g;
        d = d > 0.0 ? d : 0.0;
        return metric == TRM_METRIC_L2 ? sqrt(d) : d;
    }
    case TRM_METRIC_COSINE: {
        double d = 1.0 - g / sqrt(norm2_i * norm2_j);
        return d > 0.0 ? d : 0.0;
    }
    case TRM_METRIC_DOT:
        return 0.0 - g; /* not -g: a dot of 0 is the distance +0, never -0 */
    }
    return 0.0;
}

#endif
