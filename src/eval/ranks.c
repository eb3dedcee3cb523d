/* Counting between the distances of relevant rows; see ranks.h. */
#include "eval/ranks.h"

#include "mine/thresholds.h"

#include <math.h>

/* Of the fields that follow those of thresholds. An irrelevant row that is as far as no relevant one is counted at the first
 * relevant row behind it; one that ties, in front of the first relevant row of the same distance that has a larger row id,
 * or behind the last of that distance. */
enum {
    FIELD_RELEVANT = TRM_FIELD_BEYOND_THRESHOLDS, /* row ids */
    FIELD_CLOSER,
    FIELD_TIED,
    FIELD_BOUND
};
enum { SHAPE_PAIRS, SHAPE_TIED, SHAPE_ONE, SHAPE_LIST };
enum { BEFORE, BEHIND, TIED_SLOTS }; /* a relevant row's slots of ties */

/* An anchor's tables. */
typedef struct counts {
    trm_thresholds at;
    const int64_t *id; /* of relevant rows, by (threshold, id) */
    int64_t *closer, *tied;
    trm_candidate *bound; /* its key: distances beyond it don't matter */
} counts;

static counts counts_of(const trm_state *state, int64_t row)
{
    const trm_thresholds at = trm_thresholds_of(state, row);
    return (counts){.at = at,
                    .id = (const int64_t *)state->field[FIELD_RELEVANT] + at.first,
                    .closer = (int64_t *)state->field[FIELD_CLOSER] + at.first,
                    .tied = (int64_t *)state->field[FIELD_TIED] + state->offset[SHAPE_TIED][row],
                    .bound = (trm_candidate *)state->field[FIELD_BOUND] + state->offset[SHAPE_ONE][row]};
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)there;
    if (pairs == 0)
        return 0;
    return shape == SHAPE_PAIRS ? pairs : shape == SHAPE_TIED ? TIED_SLOTS * pairs : 1;
}

static void give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                 int64_t pairs)
{
    int64_t *id = (int64_t *)state->field[FIELD_RELEVANT] + state->offset[SHAPE_PAIRS][row];
    trm_thresholds_give(query, state, row, pair, pairs);
    for (int64_t i = 0; i < pairs; i++)
        id[i] = pair[i].id;
}

static int64_t limit_of(const trm_ranks *ranks, int64_t pairs)
{
    return ranks->to_pairs && ranks->limit < pairs ? pairs : ranks->limit;
}

/* Relevant rows of one distance, in the walk over all of them. */
typedef struct equals {
    int64_t first, end; /* relevant rows */
    int64_t closer;     /* irrelevant rows that are closer */
    int64_t tied;       /* and as far */
} equals;

/* From {0}; false past the last. */
static bool next_group(const counts *of, equals *group)
{
    group->closer += group->tied;
    group->tied = 0;
    group->first = group->end;
    if (group->first == of->at.count)
        return false;
    const double t = of->at.t[group->first];
    group->closer += of->closer[group->first];
    for (; group->end < of->at.count && of->at.t[group->end] == t; group->end++)
        group->tied +=
            of->tied[TIED_SLOTS * group->end + BEFORE] + of->tied[TIED_SLOTS * group->end + BEHIND];
    return true;
}

/* How many relevant rows, at least one, have a rank within the limit, with ties broken for them. */
static int64_t within_limit(const counts *of, int64_t limit)
{
    for (equals group = {0}; next_group(of, &group);)
        if (group.end + group.closer > limit) { /* the rank of its last one */
            const int64_t within = limit - group.closer;
            return within > group.first ? within : group.first > 0 ? group.first : 1;
        }
    return of->at.count;
}

/* Up to the last relevant row that matters. What was counted so far may only make it nearer. */
static double end_of(const counts *of)
{
    return fmin(of->at.t[of->at.count - 1], of->bound->key);
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    const counts of = counts_of(state, row);
    *lo = -INFINITY;
    *hi = end_of(&of);
}

/* Whether the bound has moved. */
static bool move_bound(const trm_ranks *ranks, const counts *of)
{
    const int64_t limit = limit_of(ranks, of->at.count);
    if (limit == INT64_MAX)
        return false;
    const double end = of->at.t[within_limit(of, limit) - 1];
    const bool moves = end < end_of(of);
    if (moves)
        *of->bound = (trm_candidate){end, 0};
    return moves;
}

/* One irrelevant row, no farther than the last relevant one. */
static void count_one(const counts *of, trm_candidate seen)
{
    int64_t low = 0, high = of->at.count; /* how many relevant rows come before it? */
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (trm_candidate_less((trm_candidate){of->at.t[middle], of->id[middle]}, seen))
            low = middle + 1;
        else
            high = middle;
    }
    if (low < of->at.count && of->at.t[low] == seen.key)
        of->tied[TIED_SLOTS * low + BEFORE]++;
    else if (low > 0 && of->at.t[low - 1] == seen.key)
        of->tied[TIED_SLOTS * (low - 1) + BEHIND]++;
    else
        of->closer[low]++;
}

/* Some of them, at most TRM_THRESHOLDS_BATCH. */
static void count_batch(counts *of, int64_t n, const double *d, const int64_t *id)
{
    enum { BATCH_FROM_THRESHOLDS = 16, BATCH_FROM_DISTANCES = 8 };
    if (of->at.count < BATCH_FROM_THRESHOLDS || n < BATCH_FROM_DISTANCES) {
        for (int64_t i = 0; i < n; i++)
            count_one(of, (trm_candidate){d[i], id[i]});
        return;
    }
    int64_t below[TRM_THRESHOLDS_BATCH];
    const trm_beside beside = {of->closer, sizeof *of->closer};
    trm_thresholds_grid(&of->at);
    trm_thresholds_below(&of->at, n, d, 0.0, beside, below);
    for (int64_t i = 0; i < n; i++) {
        if (of->at.t[below[i]] == d[i])
            count_one(of, (trm_candidate){d[i], id[i]});
        else
            of->closer[below[i]]++;
    }
}

/* Is it time to look how far the bound may move, which takes as long as there are relevant rows? Often enough, after so many
 * rows were counted: those that come one by one are chosen by their ids. */
static bool is_time(const counts *of, int64_t counted, int64_t id)
{
    enum { A_QUARTER = 4 };
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15), chance = (uint64_t)id * odd >> 32;
    return counted * A_QUARTER >= of->at.count ||
           chance * (uint64_t)of->at.count < (UINT64_C(1) << 32) * A_QUARTER * (uint64_t)counted;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    counts of = counts_of(state, row);
    if (of.at.count == 0)
        return false;
    double d[TRM_THRESHOLDS_BATCH];
    int64_t id[TRM_THRESHOLDS_BATCH], n = 0, counted = 0, last = 0;
    const double end = end_of(&of);
    for (int64_t i = 0; i < seen->n; i++) {
        d[n] = seen->d[i];
        id[n] = seen->id[i];
        n += seen->d[i] <= end;
        if (n < TRM_THRESHOLDS_BATCH && i + 1 < seen->n)
            continue;
        count_batch(&of, n, d, id);
        counted += n;
        last = n > 0 ? id[n - 1] : last;
        n = 0;
    }
    return counted > 0 && is_time(&of, counted, last) && move_bound(query->settings, &of);
}

int64_t trm_ranks_of(const trm_ranks *ranks, const trm_state *state, int64_t row, trm_eval_rank *ranked)
{
    const counts of = counts_of(state, row);
    if (of.at.count == 0)
        return 0;
    const int64_t within = within_limit(&of, limit_of(ranks, of.at.count));
    for (equals group = {0}; next_group(&of, &group) && group.first < within;) {
        int64_t before = group.closer;
        for (int64_t i = group.first; i < group.end && i < within; i++) {
            before += of.tied[TIED_SLOTS * i + BEFORE];
            ranked[i] = (trm_eval_rank){.row = of.id[i],
                                        .distance = of.at.t[i],
                                        .rank = i + 1 + before,
                                        .low = i + 1 + group.closer + group.tied,
                                        .high = i + 1 + group.closer};
        }
    }
    return within;
}

#define RANKS(which, of_list)                                                                                \
    {                                                                                                        \
        .name = "ranks", .relation = (which), .listed = (of_list), .shapes = SHAPE_LIST + (of_list),         \
        .fields = FIELD_BOUND + 1 + (of_list),                                                               \
        .field = {TRM_THRESHOLDS_FIELDS,                                                                     \
                  {"relevant", TRM_FIELD_GIVEN, SHAPE_PAIRS, sizeof(int64_t), NULL},                         \
                  {"closer", TRM_FIELD_FOUND, SHAPE_PAIRS, sizeof(int64_t), &trm_merge_sum},                 \
                  {"tied", TRM_FIELD_FOUND, SHAPE_TIED, sizeof(int64_t), &trm_merge_sum},                    \
                  {"bound", TRM_FIELD_FOUND, SHAPE_ONE, sizeof(trm_candidate), &trm_merge_min},              \
                  {"listed", TRM_FIELD_GIVEN, SHAPE_LIST, sizeof(int64_t), NULL}},                           \
        .slots = slots, .give = give, .prepare = trm_thresholds_prepare, .window = window, .offer = offer    \
    }

const trm_query_type trm_ranks_by_label = RANKS(TRM_OTHER_LABEL, false),
                     trm_ranks_by_list = RANKS(TRM_NOT_LISTED, true);
