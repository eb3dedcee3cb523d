/* The triangle inequality, for canonical distances.
 *
 * It holds for l2 distances: for l2 itself, for the roots of sql2, and for cosine between unit rows, where d is half of
 * their square. Canonical distances have a relative error below about 1e-13 times the dimension under sql2 and l2, an
 * absolute one under cosine; what is allowed for here is ten times that. */
#include "metric/metric.h"

#include <math.h>

static double to_l2(trm_metric metric, double d)
{
    return metric == TRM_METRIC_L2 ? d : sqrt(metric == TRM_METRIC_COSINE ? 2.0 * d : d);
}

static double of_l2(trm_metric metric, double l2)
{
    return metric == TRM_METRIC_L2 ? l2 : metric == TRM_METRIC_COSINE ? l2 * l2 / 2.0 : l2 * l2;
}

static double raise(trm_metric metric, double d, double error)
{
    const double raised = metric == TRM_METRIC_COSINE ? d + error : d * (1.0 + error);
    return raised > 0.0 ? raised : 0.0;
}

void trm_distance_range(trm_metric metric, int dim, double d, double r, double *least, double *most)
{
    const double error = 1e-12 * (dim + 16.0);
    *least = -INFINITY;
    *most = INFINITY;
    if (metric == TRM_METRIC_DOT)
        return;
    const double reach = to_l2(metric, raise(metric, r, error));
    const double near = to_l2(metric, raise(metric, d, -error)) - reach;
    const double far = to_l2(metric, raise(metric, d, error)) + reach;
    *least = near > 0.0 ? raise(metric, of_l2(metric, near), -error) : 0.0;
    *most = raise(metric, of_l2(metric, far), error);
}
