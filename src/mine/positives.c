/* Positives queries.
 *
 * hardest and easiest keep one candidate. nearest:K keeps an ascending list of K. all keeps one slot for
 * every place of the class (the anchor's own stays empty), so that each slot is filled by exactly one rank
 * and the minimum merges them. */
#include "mine/positives.h"

#include <stddef.h>

int64_t trm_positives_pairs(const trm_mine_options *options, int64_t class_size)
{
    const int64_t others = class_size - 1;
    switch (options->positives) {
    case TRM_POSITIVES_ALL:
        return others;
    case TRM_POSITIVES_NEAREST:
        return others < options->nearest ? others : options->nearest;
    default:
        return others < 1 ? others : 1;
    }
}

/* The row's slots; every row that is asked about has one. */
static trm_candidate *slots_of(const trm_state *state, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, 0, row);
    return (trm_candidate *)state->field[0] + state->offset[0][row];
}

static int64_t slots(const trm_query *query, int shape, int64_t class_size, int64_t pairs)
{
    (void)shape;
    (void)pairs;
    const trm_positives_choice *choice = query->settings;
    if (class_size < 2)
        return 0;
    return choice->by_place ? class_size : choice->most;
}

/* easiest and nearest: up to the last of the list (infinite while the list is not full). */
static void window_nearest(const trm_query *query, const trm_state *state, int64_t row, double *lo,
                           double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    *lo = -INFINITY;
    *hi = best[count - 1].key;
}

static bool wants_nearest(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)query;
    (void)hi;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    return lo <= best[count - 1].key;
}

static bool offer_nearest(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                          int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++)
        if (seen->d[i] <= best[count - 1].key)
            changed |= trm_candidate_insert(best, count, (trm_candidate){seen->d[i], seen->id[i]});
    return changed;
}

static void window_hardest(const trm_query *query, const trm_state *state, int64_t row, double *lo,
                           double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    *lo = -best->key;
    *hi = INFINITY;
}

static bool wants_hardest(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)query;
    (void)lo;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    return hi >= -best->key;
}

static bool offer_hardest(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                          int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
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

static void window_all(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    (void)state;
    (void)row;
    *lo = -INFINITY;
    *hi = INFINITY;
}

static bool wants_all(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)query;
    (void)state;
    (void)row;
    (void)lo;
    (void)hi;
    return true;
}

static bool offer_all(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                      int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
    for (int64_t i = 0; i < seen->n; i++)
        best[seen->place + i] = (trm_candidate){seen->d[i], seen->id[i]};
    return false;
}

static const trm_query_type all = {
    .name = "all positives",
    .relation = TRM_SAME_LABEL,
    .every_pair = true,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_min}},
    .slots = slots,
    .window = window_all,
    .wants = wants_all,
    .offer = offer_all,
};

static const trm_query_type hardest = {
    .name = "hardest positive",
    .relation = TRM_SAME_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_min}},
    .slots = slots,
    .window = window_hardest,
    .wants = wants_hardest,
    .offer = offer_hardest,
};

static const trm_query_type nearest = {
    .name = "nearest positives",
    .relation = TRM_SAME_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"positives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},
    .slots = slots,
    .window = window_nearest,
    .wants = wants_nearest,
    .offer = offer_nearest,
};

void trm_positives_choose(trm_positives_choice *choice, const trm_mine_options *options, int64_t longest)
{
    *choice = (trm_positives_choice){.query = {&nearest, choice}, .sign = 1.0, .most = 1};
    if (options->positives == TRM_POSITIVES_ALL) {
        choice->query.type = &all;
        choice->by_place = true;
    } else if (options->positives == TRM_POSITIVES_HARDEST) {
        choice->query.type = &hardest;
        choice->sign = -1.0;
    } else if (options->positives == TRM_POSITIVES_NEAREST) {
        choice->most = options->nearest < longest ? options->nearest : longest;
        choice->most = choice->most > 0 ? choice->most : 1;
    }
}
