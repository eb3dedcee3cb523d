/* --negatives weighted:K: K negatives an anchor, of those that ranks and filters leave, without replacement, drawn
 * with weights that make all distances about equally likely on the unit sphere (distance weighted sampling, Wu et al.
 * 2017, section 4).
 *
 * The weight is one over the density of distances of random unit vectors in D dimensions,
 * log w = (2 - D) log d - (D - 3) / 2 log(1 - d d / 4), d the l2 distance and at least 0.5; 0 from 1.4 on.
 * A race of exponential clocks draws: n comes at -log(u) / w, and the first K are drawn. In high dimensions w
 * overflows, so clocks are compared by their logarithms. */
#include "metric/metric.h"
#include "mine/choice.h"
#include "mine/draws.h"

static const double nearest = 0.5, farthest = 1.4;

/* d below the farthest. */
static double log_weight(int dim, double d)
{
    d = d > nearest ? d : nearest;
    return (2.0 - dim) * log(d) - (dim - 3.0) / 2.0 * log(1.0 - d * d / 4.0);
}

/* No log weight is above it. From three dimensions on, and in two, weights fall with d over the whole range; the
 * logarithms are rounded. */
static double log_weight_bound(int dim)
{
    const double largest = log_weight(dim, nearest);
    return dim < 2 ? INFINITY : largest + 1e-9 * (1.0 + fabs(largest));
}

/* Of the metric's distance the l2 distance: of rows as they are, for cosine of their unit rows; under dot, which does not
 * tell, no more than a lower bound. */
static double l2_of(trm_metric metric, double d)
{
    switch (metric) {
    case TRM_METRIC_COSINE:
        return sqrt(2.0 * d);
    case TRM_METRIC_SQL2:
        return sqrt(d);
    case TRM_METRIC_L2:
        return d;
    case TRM_METRIC_DOT:
        break;
    }
    return 0.0;
}

static double key(const trm_negatives *negatives, int64_t anchor, const trm_seen *seen, int64_t i,
                  double worst)
{
    const trm_metric metric = negatives->options.metric;
    double d = l2_of(metric, seen->d[i]);
    if (d >= farthest)
        return INFINITY;
    const double clock = log(-log(trm_draws_uniform(negatives->options.seed, anchor, seen->id[i])));
    if (clock - negatives->bound > worst) /* late with any weight */
        return INFINITY;
    if (metric == TRM_METRIC_DOT)
        d = trm_distance(TRM_METRIC_L2, seen->anchor.x, *seen->anchor.norm2,
                         seen->other.x + i * negatives->dim, seen->other.norm2[i], negatives->dim, NULL);
    return d >= farthest ? INFINITY : clock - log_weight(negatives->dim, d);
}

static void begin(trm_negatives *negatives)
{
    negatives->bound = log_weight_bound(negatives->dim);
    trm_draws_begin(negatives);
}

const trm_negatives_policy trm_negatives_weighted = {
    .word = {.name = "weighted",
             .about = "K drawn by --seed so that near and far ones are about as likely",
             .number = "K",
             .least = 1,
             .most = INT32_MAX},
    .query = &trm_draws_query,
    .takes = TRM_TAKES_SEED | TRM_TAKES_FILTERS,
    .begin = begin,
    .key = key,
    .most = trm_draws_most,
    .answer = trm_choice_answer,
    .removed = trm_choice_removed,
    .removed_in_sweeps = trm_choice_removed_in_sweeps};
