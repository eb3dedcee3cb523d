/* One triplet's loss and one pair's gradient term: the formulas that all losses share. All that tells one loss
 * of a triplet from another is here. Pure C. */
#ifndef TRM_LOSS_TERM_H
#define TRM_LOSS_TERM_H

#include "base/exact_sum.h"
#include "metric/metric.h"
#include "trimine/loss.h"

#include <math.h>
#include <stdbool.h>

/* z of a triplet; the order of the operations is part of the definition. */
static inline double trm_term_z(double d_ap, double d_an, double margin)
{
    return (d_ap - d_an) + margin;
}

/* log(1 + e^z) without overflow. */
static inline double trm_term_softplus(double z)
{
    return log1p(exp(-fabs(z))) + (z > 0.0 ? z : 0.0);
}

/* Its derivative. */
static inline double trm_term_sigmoid(double z)
{
    const double e = exp(-fabs(z));
    return (z >= 0.0 ? 1.0 : e) / (1.0 + e);
}

/* The option that makes it another loss than the hinge, or NULL: for all that is of the hinge alone. */
static inline const char *trm_term_other(const trm_loss_options *loss)
{
    return loss->soft ? "soft" : NULL;
}

/* Whether a triplet counts as active. */
static inline bool trm_term_active(const trm_loss_options *loss, double z)
{
    return loss->soft || z > 0.0;
}

/* Adds a triplet's loss to an exact sum: of the hinge its three parts, which lose nothing to rounding. */
static inline void trm_term_add_loss(const trm_loss_options *loss, double d_ap, double d_an, double z,
                                     trm_exact_sum *sum)
{
    if (loss->soft) {
        trm_exact_sum_add(sum, trm_term_softplus(z));
    } else if (z > 0.0) {
        trm_exact_sum_add(sum, d_ap);
        trm_exact_sum_add(sum, -d_an);
        trm_exact_sum_add(sum, loss->margin);
    }
}

/* Whether every slope is a whole number: their sum then does not depend on the order, so equal pairs may be
 * added up early. */
static inline bool trm_term_slopes_are_whole(const trm_loss_options *loss)
{
    return !loss->soft;
}

/* The derivative of a triplet's loss by z. */
static inline double trm_term_slope(const trm_loss_options *loss, double z)
{
    if (loss->soft)
        return trm_term_sigmoid(z);
    return z > 0.0 || (loss->whole_at_zero && z >= 0.0) ? 1.0 : 0.0;
}

/* weight * dd(i,j)/dx_i = a x_i + b x_j. */
typedef struct trm_term {
    double a, b;
} trm_term;

/* g, d: canonical dot and distance of the pair; norm2_i, norm2_j: canonical dots of each with itself.
 *
 *   sql2    2 (x_i - x_j)
 *   l2      (x_i - x_j) / d, 0 where d = 0
 *   cosine  -(x_j/|x_j| - s x_i/|x_i|) / |x_i|, s the cosine (normalisation inside)
 *   dot     -x_j */
static inline trm_term trm_term_of(trm_metric metric, double weight, double g, double d, double norm2_i,
                                   double norm2_j)
{
    switch (metric) {
    case TRM_METRIC_SQL2:
        return (trm_term){2.0 * weight, -2.0 * weight};
    case TRM_METRIC_L2: {
        const double w = d > 0.0 ? weight / d : 0.0;
        return (trm_term){w, -w};
    }
    case TRM_METRIC_COSINE: {
        const double norms = sqrt(norm2_i * norm2_j);
        return (trm_term){weight * ((g / norms) / norm2_i), -(weight / norms)};
    }
    case TRM_METRIC_DOT:
        return (trm_term){0.0, -weight};
    }
    return (trm_term){0.0, 0.0};
}

/* sum[k] += a x[k] + b y[k], in float64, as a (x[k] - y[k]) where b = -a; each k on its own, so the bits do
 * not depend on how it is vectorised. */
static inline void trm_term_add(trm_term term, const float *restrict x, const float *restrict y, int dim,
                                double *restrict sum)
{
    if (term.b == -term.a)
        for (int k = 0; k < dim; k++)
            sum[k] += term.a * ((double)x[k] - (double)y[k]);
    else
        for (int k = 0; k < dim; k++)
            sum[k] += term.a * (double)x[k] + term.b * (double)y[k];
}

/* The gradient with respect to a row before it became y = x / |x|: (g - (g.y) y) / |x|, in place. */
static inline void trm_term_through_norm(double *restrict g, const float *restrict y, int dim, double norm)
{
    double along = 0.0;
    for (int k = 0; k < dim; k++)
        along += g[k] * (double)y[k];
    for (int k = 0; k < dim; k++)
        g[k] = (g[k] - along * (double)y[k]) / norm;
}

#endif
