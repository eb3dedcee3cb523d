/* --negatives weighted:K: K negatives an anchor, without replacement, drawn with weights that make all distances
 * about equally likely on the unit sphere (distance weighted sampling, Wu et al. 2017, section 4).
 *
 * The weight is one over the density of distances of random unit vectors in D dimensions,
 * log w = (2 - D) log d - (D - 3) / 2 log(1 - d d / 4), d the l2 distance and at least 0.5; 0 from 1.4 on.
 * A race of exponential clocks draws: n comes at -log(u) / w, and the first K are drawn. In high dimensions w
 * overflows, so clocks are compared by their logarithms. */
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

/* The l2 distance: of rows as they are, for cosine of their unit rows. */
static double l2_of(trm_metric metric, double d)
{
    if (metric == TRM_METRIC_COSINE)
        return sqrt(2.0 * d);
    return metric == TRM_METRIC_SQL2 ? sqrt(d) : d;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    const trm_mine_options *options = &negatives->options;
    const double bound = log_weight_bound(negatives->dim);
    int64_t count;
    trm_draw *list = trm_draws_of(state, 0, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const double d = l2_of(options->metric, seen->d[i]);
        if (d >= farthest)
            continue;
        const double u = trm_draws_uniform(options->seed, state->id[row], seen->id[i]);
        const double clock = log(-log(u));
        if (clock - bound > list[count - 1].key) /* late with any weight */
            continue;
        const trm_draw draw = {clock - log_weight(negatives->dim, d), seen->id[i], seen->d[i]};
        changed |= trm_draw_insert(list, count, draw);
    }
    return changed;
}

static const trm_query_type type = {
    .name = "weighted negatives",
    .relation = TRM_OTHER_LABEL,
    .every_pair = true, /* most distances may be drawn */
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_draw), &trm_merge_draw_list}},
    .slots = trm_draws_slots,
    .window = trm_query_all_window,
    .offer = offer,
};

const trm_negatives_policy trm_negatives_weighted = {
    .word = {.name = "weighted",
             .about = "K drawn by --seed so that near and far ones are about as likely",
             .number = "K",
             .least = 1,
             .most = INT32_MAX},
    .query = &type,
    .takes = TRM_TAKES_SEED | TRM_TAKES_L2,
    .most = trm_draws_most,
    .answer = trm_draws_answer};
