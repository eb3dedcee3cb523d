/* The one place that makes a distance of a dot and two squared norms.
 *
 * A tile of dots is turned into distances in place, in loops without a branch that the data decides. Rows
 * that are close compared with their norms are rare in ordinary data: one test for each line of the tile
 * tells whether there is any, and only then they are sought. */
#include "metric/metric.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* e below this share of n_i + n_j has lost three digits or more. A power of two, so that multiplying is
 * exact. */
static const double close_share = 0x1p-10;

static inline bool is_close(double e, double norms)
{
    return !(e >= norms * close_share);
}

static inline double cosine_of(double g, double norm2_x, double norm2_y)
{
    const double d = 1.0 - g / sqrt(norm2_x * norm2_y);
    return d > 0.0 ? d : 0.0;
}

static inline double dot_of(double g)
{
    return 0.0 - g; /* not -g: a dot of 0 is the distance +0, never -0 */
}

static double square_of(const float *x, double norm2_x, const float *y, double norm2_y, int dim, double g)
{
    const double norms = norm2_x + norm2_y, e = norms - 2.0 * g;
    return is_close(e, norms) ? trm_squared_difference(x, y, dim) : e;
}

double trm_distance(trm_metric metric, const float *x, double norm2_x, const float *y, double norm2_y,
                    int dim, double *dot)
{
    const double g = trm_dot(x, y, dim);
    if (dot != NULL)
        *dot = g;
    switch (metric) {
    case TRM_METRIC_SQL2:
        return square_of(x, norm2_x, y, norm2_y, dim, g);
    case TRM_METRIC_L2:
        return sqrt(square_of(x, norm2_x, y, norm2_y, dim, g));
    case TRM_METRIC_COSINE:
        return cosine_of(g, norm2_x, norm2_y);
    case TRM_METRIC_DOT:
        return dot_of(g);
    }
    return 0.0;
}

/* Dots of one row with cols others become squared distances. */
static void square_line(const float *x, double norm2, const float *b, const double *b_norm2, int cols,
                        int dim, double *line)
{
    int64_t close = 0; /* as wide as a double, so that the loop vectorises */
    for (int j = 0; j < cols; j++) {
        const double norms = norm2 + b_norm2[j];
        line[j] = norms - 2.0 * line[j];
        close |= is_close(line[j], norms);
    }
    for (int j = 0; j < cols && close != 0; j++)
        if (is_close(line[j], norm2 + b_norm2[j]))
            line[j] = trm_squared_difference(x, b + (int64_t)j * dim, dim);
}

static void distance_line(trm_metric metric, const float *x, double norm2, const float *b,
                          const double *b_norm2, int cols, int dim, double *line)
{
    switch (metric) {
    case TRM_METRIC_SQL2:
        square_line(x, norm2, b, b_norm2, cols, dim, line);
        return;
    case TRM_METRIC_L2:
        square_line(x, norm2, b, b_norm2, cols, dim, line);
        for (int j = 0; j < cols; j++)
            line[j] = sqrt(line[j]);
        return;
    case TRM_METRIC_COSINE:
        for (int j = 0; j < cols; j++)
            line[j] = cosine_of(line[j], norm2, b_norm2[j]);
        return;
    case TRM_METRIC_DOT:
        for (int j = 0; j < cols; j++)
            line[j] = dot_of(line[j]);
        return;
    }
}

void trm_distance_tile(trm_metric metric, const float *a, const double *a_norm2, int rows, const float *b,
                       const double *b_norm2, int cols, int dim, double *out, double *dots, int64_t stride)
{
    trm_dot_tile(a, rows, b, cols, dim, out, stride);
    for (int i = 0; i < rows; i++) {
        double *line = out + i * stride;
        if (dots != NULL)
            memcpy(dots + i * stride, line, (size_t)cols * sizeof *line);
        distance_line(metric, a + (int64_t)i * dim, a_norm2[i], b, b_norm2, cols, dim, line);
    }
}
