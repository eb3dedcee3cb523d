/* --positives random:K: K of the class, without replacement. An ascending list of draws, which becomes one of
 * pairs. */
#include "mine/draws.h"
#include "mine/positives.h"

#include <stdlib.h>
#include <string.h>

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    return pairs;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_positives *positives = query->settings;
    int64_t count;
    trm_draw *list = trm_draws_of(state, 0, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const double u = trm_draws_uniform(positives->seed, state->id[row], seen->id[i]);
        if (u <= list[count - 1].key)
            changed |= trm_draw_insert(list, count, (trm_draw){u, seen->id[i], seen->d[i]});
    }
    return changed;
}

static int compare_ids(const void *a, const void *b)
{
    const trm_draw *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* A pair takes less room than a draw, so the list shrinks in place; sorting by (d, id) begins in order of ids. */
static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)query;
    int64_t count;
    trm_draw *list = trm_draws_of(state, 0, row, &count);
    trm_candidate *pair = (trm_candidate *)(void *)list;
    qsort(list, (size_t)count, sizeof *list, compare_ids);
    for (int64_t i = 0; i < count; i++) {
        trm_draw draw;
        memcpy(&draw, &list[i], sizeof draw);
        memcpy(&pair[i], &(trm_candidate){draw.d, draw.id}, sizeof *pair);
    }
    trm_candidates_sort(pair, count, scratch);
}

static const trm_query_type type = {
    .name = "random positives",
    .relation = TRM_SAME_LABEL,
    .every_pair = true, /* any distance may be drawn */
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_draw), &trm_merge_draw_list}},
    .slots = slots,
    .window = trm_query_all_window,
    .offer = offer,
    .settle = settle,
};

const trm_positives_policy trm_positives_random = {
    .word = {.name = "random", .about = "K drawn by --seed", .number = "K", .least = 1, .most = INT32_MAX},
    .query = &type,
    .draws = true};
