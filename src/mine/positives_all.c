/* --positives all: every row of the class.
 *
 * One slot for every place of the class (the anchor's own stays empty), so that each slot is filled by exactly
 * one rank and the minimum merges them. */
#include "mine/positives.h"

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    return pairs > 0 ? there.places : 0;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = trm_positives_slots(state, row, &count);
    for (int64_t i = 0; i < seen->n; i++)
        best[seen->place + i] = (trm_candidate){seen->d[i], seen->id[i]};
    return false;
}

static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)query;
    int64_t count;
    trm_candidate *best = trm_positives_slots(state, row, &count);
    trm_candidates_sort(best, count, scratch);
}

static const trm_query_type type = {
    .name = "all positives",
    .relation = TRM_SAME_LABEL,
    .every_pair = true,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_min}},
    .slots = slots,
    .window = trm_query_all_window,
    .offer = offer,
    .settle = settle,
};

const trm_positives_policy trm_positives_all = {.word = {.name = "all", .about = "every row of the class"},
                                                .query = &type};
