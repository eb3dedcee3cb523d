/* Positives sinks.
 *
 * hardest and easiest keep one candidate. nearest:K keeps an ascending list of K. all keeps one slot for
 * every place of the class (the anchor's own stays empty), so that each slot is filled by exactly one rank
 * and the minimum merges them. */
#include "mine/positives.h"

#include <stddef.h>

static void window_one(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi);
static bool wants_one(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi);
static bool offer_nearest(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                          const int64_t *ids, int64_t place);
static void window_hardest(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi);
static bool wants_hardest(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi);
static bool offer_hardest(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                          const int64_t *ids, int64_t place);
static void window_all(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi);
static bool wants_all(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi);
static bool offer_all(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                      const int64_t *ids, int64_t place);

static const trm_positives_policy policies[] = {
    [TRM_POSITIVES_ALL] = {"all",
                           {.same_label = true,
                            .dense = true,
                            .sets = 1,
                            .window = window_all,
                            .wants = wants_all,
                            .offer = offer_all},
                           1.0},
    [TRM_POSITIVES_HARDEST] = {"hardest",
                               {.same_label = true,
                                .sets = 1,
                                .window = window_hardest,
                                .wants = wants_hardest,
                                .offer = offer_hardest},
                               -1.0},
    [TRM_POSITIVES_EASIEST] = {"easiest",
                               {.same_label = true,
                                .sets = 1,
                                .list = 1,
                                .window = window_one,
                                .wants = wants_one,
                                .offer = offer_nearest},
                               1.0},
    [TRM_POSITIVES_NEAREST] =
        {"nearest",
         {.same_label = true, .sets = 1, .window = window_one, .wants = wants_one, .offer = offer_nearest},
         1.0},
};

trm_positives_policy trm_positives_policy_of(const trm_mine_options *options, int64_t longest)
{
    trm_positives_policy policy = policies[options->positives];
    if (options->positives == TRM_POSITIVES_NEAREST) {
        policy.sink.list = options->nearest < longest ? options->nearest : longest;
        policy.sink.list = policy.sink.list > 0 ? policy.sink.list : 1;
    }
    return policy;
}

int64_t trm_positives_slots(const trm_positives_policy *policy, int64_t class_size)
{
    if (class_size < 2)
        return 0;
    if (policy->sink.dense)
        return class_size;
    return policy->sink.list > 0 ? policy->sink.list : 1;
}

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

/* The row's slots; NULL where it has none. */
static trm_candidate *slots_of(const trm_state *state, int64_t row, int64_t *count)
{
    *count = state->offset[row + 1] - state->offset[row];
    return *count > 0 ? state->best + state->offset[row] : NULL;
}

static void no_window(double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
}

/* easiest and nearest: up to the last of the list (infinite while the list is not full). */
static void window_one(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)sink;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    if (best == NULL) {
        no_window(lo, hi);
        return;
    }
    *lo = -INFINITY;
    *hi = best[count - 1].key;
}

static bool wants_one(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)sink;
    (void)hi;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    return best != NULL && lo <= best[count - 1].key;
}

static bool offer_nearest(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                          const int64_t *ids, int64_t place)
{
    (void)sink;
    (void)place;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < n; i++)
        if (best != NULL && d[i] <= best[count - 1].key)
            changed |= trm_candidate_insert(best, count, (trm_candidate){d[i], ids[i]});
    return changed;
}

static void window_hardest(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)sink;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    if (best == NULL) {
        no_window(lo, hi);
        return;
    }
    *lo = -best->key;
    *hi = INFINITY;
}

static bool wants_hardest(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)sink;
    (void)lo;
    int64_t count;
    const trm_candidate *best = slots_of(state, row, &count);
    return best != NULL && hi >= -best->key;
}

static bool offer_hardest(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                          const int64_t *ids, int64_t place)
{
    (void)sink;
    (void)place;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < n && best != NULL; i++) {
        const trm_candidate candidate = {-d[i], ids[i]};
        if (trm_candidate_less(candidate, *best)) {
            *best = candidate;
            changed = true;
        }
    }
    return changed;
}

static void window_all(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)sink;
    int64_t count;
    if (slots_of(state, row, &count) == NULL) {
        no_window(lo, hi);
        return;
    }
    *lo = -INFINITY;
    *hi = INFINITY;
}

static bool wants_all(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)sink;
    (void)lo;
    (void)hi;
    int64_t count;
    return slots_of(state, row, &count) != NULL;
}

static bool offer_all(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                      const int64_t *ids, int64_t place)
{
    (void)sink;
    int64_t count;
    trm_candidate *best = slots_of(state, row, &count);
    for (int64_t i = 0; i < n && best != NULL; i++)
        best[place + i] = (trm_candidate){d[i], ids[i]};
    return false;
}
