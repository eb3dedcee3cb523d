/* --positives hardest: the largest d(a,p), the lower row id of equal ones; kept as the smallest -d. */
#include "mine/positives.h"

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    return pairs;
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    int64_t count;
    *lo = -trm_positives_slots(state, row, &count)->key;
    *hi = INFINITY;
}

static int64_t keeps(const trm_query *query, const trm_state *state, int64_t row, double *from)
{
    (void)query;
    (void)state;
    (void)row;
    *from = -INFINITY;
    return 1;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = trm_positives_slots(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const trm_candidate candidate = {-seen->d[i], seen->id[i]};
        if (trm_candidate_less(candidate, *best)) {
            *best = candidate;
            changed = true;
        }
    }
    return changed;
}

static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)query;
    (void)scratch;
    int64_t count;
    trm_candidate *best = trm_positives_slots(state, row, &count);
    if (trm_candidate_exists(*best))
        best->key = 0.0 - best->key;
}

static const trm_query_type type = {
    .name = "hardest positive",
    .relation = TRM_SAME_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_min}},
    .slots = slots,
    .window = window,
    .keeps = keeps,
    .keeps_farthest = true,
    .offer = offer,
    .settle = settle,
};

const trm_positives_policy trm_positives_hardest = {
    .word = {.name = "hardest", .about = "the farthest"}, .query = &type, .count = 1, .from_far = true};
