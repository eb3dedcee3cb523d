/* --positives nearest:K, and easiest, which is nearest:1: an ascending list of the K smallest d(a,p). */
#include "mine/positives.h"
#include "sweep/list.h"

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)shape;
    (void)there;
    const trm_positives *positives = query->settings;
    return pairs > 0 ? positives->most : 0;
}

/* Up to the last of the list (infinite while the list is not full). */
static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *best = trm_positives_slots(state, row, &count);
    *lo = -INFINITY;
    *hi = best[count - 1].key;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = trm_positives_slots(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++)
        if (seen->d[i] <= best[count - 1].key)
            changed |= trm_candidate_insert(best, count, (trm_candidate){seen->d[i], seen->id[i]});
    return changed;
}

static const trm_query_type type = {
    .name = "nearest positives",
    .relation = TRM_SAME_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},
    .slots = slots,
    .window = window,
    .keeps = trm_list_keeps,
    .offer = offer,
};

const trm_positives_policy trm_positives_easiest = {
    .word = {.name = "easiest", .about = "the nearest", .elsewhere = "easy"}, .query = &type, .count = 1};
const trm_positives_policy trm_positives_nearest = {
    .word = {.name = "nearest", .about = "the K nearest", .number = "K", .least = 1, .most = INT32_MAX},
    .query = &type};
