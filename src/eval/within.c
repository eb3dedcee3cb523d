/* The queries of pairs within a radius; see within.h.
 *
 * Of one set both rows of a pair are offered it, in sweeps of different panels maybe. So each counts it, and the one of the lower
 * row id lists it and has it in its thread's tally. */
#include "eval/within.h"

#include "base/bins.h"
#include "eval/among.h"

#include <stdlib.h>
#include <string.h>

static bool is_own(const trm_within *within, const trm_state *state, int64_t row, int64_t other)
{
    return !within->one_set || state->id[row] < other;
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)state;
    (void)row;
    *lo = -INFINITY;
    *hi = ((const trm_within *)query->settings)->radius;
}

/* ---- counting ---- */

trm_hash_sum trm_within_hash(const int64_t *tally)
{
    trm_hash_sum sum = TRM_HASH_SUM_INIT;
    for (int i = 0; i < TRM_WITHIN_HASH_WORDS; i++)
        sum.digit[i] = (uint64_t)tally[i];
    return sum;
}

/* A pair as the result's hash takes it. */
typedef struct hashed {
    int64_t a, b;
    double distance;
} hashed;

static void tally_pair(const trm_within *within, hashed pair, int64_t *tally)
{
    trm_hash_sum sum = trm_within_hash(tally); /* digits of 32 bits: those of many threads may be added */
    trm_hash_sum_add(&sum, &pair, sizeof pair);
    for (int i = 0; i < TRM_WITHIN_HASH_WORDS; i++)
        tally[i] = (int64_t)sum.digit[i];
    tally[TRM_WITHIN_HASH_WORDS + trm_bins_find(within->edges, within->bins, within->scale, pair.distance)]++;
}

static int64_t count_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    (void)pairs;
    return TRM_WITHIN_SIDES;
}

static bool count_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                        int64_t *tally)
{
    const trm_within *within = query->settings;
    int64_t *count = (int64_t *)state->field[0] + state->offset[0][row];
    for (int64_t i = 0; i < seen->n; i++) {
        if (!(seen->d[i] <= within->radius))
            continue;
        const bool own = is_own(within, state, row, seen->id[i]);
        count[own ? TRM_WITHIN_OWN : TRM_WITHIN_OTHERS]++;
        if (own)
            tally_pair(within, (hashed){state->id[row], seen->id[i], seen->d[i]}, tally);
    }
    return false;
}

const int64_t *trm_within_counted(const trm_state *state, int64_t row)
{
    return trm_state_count(state, 0, row) > 0 ? (const int64_t *)state->field[0] + state->offset[0][row]
                                              : NULL;
}

/* ---- listing ---- */

/* Only the caller knows. */
static int64_t list_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    (void)pairs;
    return 0;
}

static bool list_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                       int64_t *tally)
{
    (void)tally;
    const trm_within *within = query->settings;
    const int64_t room = trm_state_count(state, 0, row);
    trm_candidate *list = (trm_candidate *)state->field[0] + state->offset[0][row];
    int64_t at = -1; /* not known yet */
    for (int64_t i = 0; i < seen->n; i++) {
        if (!(seen->d[i] <= within->radius) || !is_own(within, state, row, seen->id[i]))
            continue;
        at = at < 0 ? trm_candidates_count(list, room) : at;
        if (at < room)
            list[at++] = (trm_candidate){seen->d[i], seen->id[i]};
    }
    return false;
}

static int compare_ids(const void *a, const void *b)
{
    const trm_candidate *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void list_settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)query;
    (void)scratch;
    const int64_t count = trm_state_count(state, 0, row);
    if (count > 1)
        qsort((trm_candidate *)state->field[0] + state->offset[0][row], (size_t)count, sizeof(trm_candidate),
              compare_ids);
}

const trm_candidate *trm_within_listed(const trm_state *state, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, 0, row);
    return (const trm_candidate *)state->field[0] + state->offset[0][row];
}

/* ---- the types ---- */

#define COUNTING(which)                                                                                      \
    {                                                                                                        \
        .name = "pairs being counted", .relation = (which), .shapes = 1, .fields = 1,                        \
        .field = {{"within", TRM_FIELD_FOUND, 0, sizeof(int64_t), &trm_merge_sum}},                          \
        .tally = TRM_WITHIN_HASH_WORDS + TRM_RADIUS_BINS_MOST, .slots = count_slots, .window = window,       \
        .offer = count_offer                                                                                 \
    }
#define LISTING(which)                                                                                       \
    {                                                                                                        \
        .name = "pairs", .relation = (which), .shapes = 1, .fields = 1,                                      \
        .field = {{"pairs", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_gather}},                  \
        .slots = list_slots, .window = window, .offer = list_offer, .settle = list_settle                    \
    }

_Static_assert(TRM_WITHIN_HASH_WORDS + TRM_RADIUS_BINS_MOST <= TRM_TALLY_WORDS, "a tally has room");

const trm_query_type *trm_within_counting(trm_among among)
{
    static const trm_query_type type[] = {[TRM_AMONG_ANY] = COUNTING(TRM_ANY_OTHER),
                                          [TRM_AMONG_SAME] = COUNTING(TRM_SAME_LABEL),
                                          [TRM_AMONG_OTHER] = COUNTING(TRM_OTHER_LABEL)};
    return &type[among];
}

const trm_query_type *trm_within_listing(trm_among among)
{
    static const trm_query_type type[] = {[TRM_AMONG_ANY] = LISTING(TRM_ANY_OTHER),
                                          [TRM_AMONG_SAME] = LISTING(TRM_SAME_LABEL),
                                          [TRM_AMONG_OTHER] = LISTING(TRM_OTHER_LABEL)};
    return &type[among];
}
