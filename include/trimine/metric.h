/* The four distances, in float64: of a canonical dot product g = <x_i, x_j> and two squared norms n; and rows
 * of length one. Needs abi.h; no MPI. */
#ifndef TRIMINE_METRIC_H
#define TRIMINE_METRIC_H

#include "trimine/abi.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum trm_metric {
    TRM_METRIC_SQL2,   /* (n_i + n_j) - 2 g; sum of (x_i - x_j)^2 where that is below (n_i + n_j) / 1024 */
    TRM_METRIC_L2,     /* sqrt of sql2 */
    TRM_METRIC_COSINE, /* max(0, 1 - g / sqrt(n_i n_j)) */
    TRM_METRIC_DOT     /* -g */
} trm_metric;

/* The option name of a metric ("sql2", ...), borrowed for ever; NULL for a value that is none. Not
 * collective.
 */
TRM_API const char *trm_metric_name(trm_metric metric);

/* Looks a metric up by its option name: 0 found, -1 unknown. Not collective. */
TRM_API int trm_metric_from_name(const char *name, trm_metric *metric);

/* The margin used where none is given: 0.5 for cosine, 1.0 otherwise; 0 for a value that is no metric. Not
 * collective. */
TRM_API double trm_metric_default_margin(trm_metric metric);

/* Makes each of count x dim rows x / |x|, computed in float64 and rounded once; out may be x. norms: count,
 * |x|, or NULL. Gives the index of the first row of norm 0, which stays as it is, or -1. Not collective. */
TRM_API int64_t trm_normalize(int64_t count, int dim, const float *x, float *out, double *norms);

#ifdef __cplusplus
}
#endif
#endif
