/* Rows to unit length: the one place that divides by a norm, so that every reader gets the same bits.
 *
 * The norm is the square root of the canonical dot of the row with itself; each element is divided in float64
 * and rounded once. Pure C. */
#include "metric/metric.h"

#include <math.h>
#include <string.h>

int64_t trm_normalize(int64_t count, int dim, const float *x, float *out, double *norms)
{
    int64_t zero = -1;
    for (int64_t i = 0; i < count; i++) {
        const float *from = x + i * dim;
        float *into = out + i * dim;
        const double norm = sqrt(trm_dot(from, from, dim));
        if (norms != NULL)
            norms[i] = norm;
        if (norm == 0.0) {
            zero = zero < 0 ? i : zero;
            memmove(into, from, (size_t)dim * sizeof *into);
        } else {
            for (int k = 0; k < dim; k++)
                into[k] = (float)((double)from[k] / norm);
        }
    }
    return zero;
}
