/* --negatives multisimilarity:E: pairs selected as for the multi-similarity loss (Wang et al. 2019), by
 * similarities s: 1 - d for cosine, -d for the other metrics. A negative is kept if s_n + E > the least s of the
 * anchor's selected positives, a positive if s_p - E < the largest s of its negatives; the triplets are all kept
 * positives with all kept negatives.
 *
 * Both bounds are one number an anchor: its farthest positive, which is known before the sweep, and its nearest
 * negative. Where any negative is kept the nearest is one of them, because the test is monotone in d, also as
 * rounded: so nothing beyond the first bound needs to be looked at. */
#include "metric/metric.h"
#include "mine/listing.h"

#include <float.h>

enum { FIELD_FARTHEST, FIELD_NEAREST, FIELD_KEPT };

static double similarity(const trm_negatives *negatives, double d)
{
    return trm_similarity(negatives->options.metric, d);
}

static double farthest_of(const trm_state *state, int64_t row)
{
    return ((const double *)state->field[FIELD_FARTHEST])[state->offset[0][row]];
}

static bool keeps_negative(const trm_negatives *negatives, double d, double farthest)
{
    return similarity(negatives, d) + negatives->number > similarity(negatives, farthest);
}

static bool keeps_positive(const trm_negatives *negatives, double d, double nearest)
{
    return similarity(negatives, d) - negatives->number < similarity(negatives, nearest);
}

static int64_t count_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    return pairs > 0 ? 1 : 0;
}

static void give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                 int64_t pairs)
{
    (void)query;
    ((double *)state->field[FIELD_FARTHEST])[state->offset[0][row]] = pair[pairs - 1].key;
}

/* A little wider than the truth, as similarities and sums are rounded. */
static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const trm_negatives *negatives = query->settings;
    const double farthest = farthest_of(state, row), epsilon = negatives->number;
    *lo = -INFINITY;
    *hi = farthest + epsilon + 8.0 * DBL_EPSILON * (fabs(farthest) + epsilon + 1.0);
}

static bool count_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                        int64_t *tally)
{
    (void)tally;
    const double farthest = farthest_of(state, row);
    trm_candidate *nearest = (trm_candidate *)state->field[FIELD_NEAREST] + state->offset[0][row];
    int64_t *kept = (int64_t *)state->field[FIELD_KEPT] + state->offset[0][row];
    for (int64_t i = 0; i < seen->n; i++) {
        const trm_candidate one = {seen->d[i], seen->id[i]};
        *kept += keeps_negative(query->settings, one.key, farthest);
        if (trm_candidate_less(one, *nearest))
            *nearest = one;
    }
    return false;
}

static const trm_query_type counting = {
    .name = "multi-similarity being counted",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1,
    .fields = 3,
    .field = {{.name = "farthest", .kind = TRM_FIELD_GIVEN, .shape = 0, .bytes = sizeof(double)},
              {"nearest", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_min},
              {"kept", TRM_FIELD_FOUND, 0, sizeof(int64_t), &trm_merge_sum}},
    .slots = count_slots,
    .give = give,
    .window = window,
    .offer = count_offer,
};

static trm_set_size size(const trm_negatives *negatives, const trm_state *state, int64_t row,
                         const trm_candidate *pair, int64_t pairs, int64_t others)
{
    (void)others;
    const double nearest = ((const trm_candidate *)state->field[FIELD_NEAREST])[state->offset[0][row]].key;
    const int64_t kept = ((const int64_t *)state->field[FIELD_KEPT])[state->offset[0][row]];
    int64_t positives = 0;
    for (int64_t i = 0; i < pairs && kept > 0; i++)
        positives += keeps_positive(negatives, pair[i].key, nearest);
    return (trm_set_size){positives * kept, positives > 0 ? kept : 0};
}

static int64_t list_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    return shape == 0 ? count_slots(query, shape, there, pairs) : 0;
}

static void list_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    if (trm_state_count(state, 1, row) > 0)
        window(query, state, row, lo, hi);
}

static bool list_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                       int64_t *tally)
{
    (void)tally;
    const double farthest = farthest_of(state, row);
    for (int64_t i = 0; i < seen->n; i++) {
        const trm_candidate one = {seen->d[i], seen->id[i]};
        if (keeps_negative(query->settings, one.key, farthest))
            trm_listing_add(state, row, &one, 1);
    }
    return false;
}

static const trm_query_type listing = {
    .name = "multi-similarity being listed",
    .relation = TRM_OTHER_LABEL,
    .shapes = 2,
    .fields = 2,
    .field = {{.name = "farthest", .kind = TRM_FIELD_GIVEN, .shape = 0, .bytes = sizeof(double)},
              TRM_LISTING_FIELD},
    .slots = list_slots,
    .give = give,
    .window = list_window,
    .offer = list_offer,
    .settle = trm_listing_settle,
};

static int64_t answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    int64_t count;
    const trm_candidate *list = trm_listing_of(state, row, &count);
    if (count == 0 || !keeps_positive(negatives, pair[i].key, list[0].key))
        return 0;
    return trm_listing_answer(list, 0, count, answers);
}

const trm_negatives_policy trm_negatives_multisimilarity = {
    .word = {.name = "multisimilarity",
             .about = "a set: pairs of the multi-similarity loss with epsilon E",
             .number = "E",
             .real = true,
             .least = 0.0},
    .query = &counting,
    .size = size,
    .listing = &listing,
    .answer = answer};
