/* The policies that are sets of triplets, told apart by d(a,n) - d(a,p) and the margin: within-margin, hard-all,
 * easy-all, violating.
 *
 * Among an anchor's thresholds t_1 <= ... <= t_K, those with d - t > limit come first, also as rounded, since
 * rounding is monotone. So the pairs that a negative at distance d serves are those between two places among the
 * thresholds: limit 0 and limit margin, tested by the difference itself. A set is counted by the width of these
 * ranges, easy-all as what violating leaves, so that no far pair needs a float64 distance. Where it is listed, an
 * anchor keeps each negative that serves any of its pairs, once. */
#include "mine/listing.h"
#include "mine/thresholds.h"

#include <float.h>

typedef enum trm_set { WITHIN_MARGIN, HARD_ALL, EASY_ALL, VIOLATING } trm_set;

/* Of shape 1, two slots an anchor. */
enum { FIELD_COUNTED = TRM_FIELD_BEYOND_THRESHOLDS };
enum { COUNTED_TRIPLETS, COUNTED_NEGATIVES, COUNTED };

static trm_set set_of(const trm_negatives *negatives)
{
    return (trm_set)negatives->question[0];
}

static bool is_beyond(double d, double threshold, double limit)
{
    return d - threshold > limit;
}

/* place[i] = how many thresholds d[i] is beyond: found with d - limit, settled by the test itself. */
static void find_places(const trm_thresholds *a, int64_t n, const double *d, double limit, int64_t *place)
{
    const trm_beside nothing = {NULL, 0};
    trm_thresholds_below(a, n, d, limit, nothing, place);
    for (int64_t i = 0; i < n; i++) {
        while (place[i] < a->count && is_beyond(d[i], a->t[place[i]], limit))
            place[i]++;
        while (place[i] > 0 && !is_beyond(d[i], a->t[place[i] - 1], limit))
            place[i]--;
    }
}

/* Pairs [from[i], to[i]) are those that d[i] serves. */
static void find_pairs(trm_set set, double margin, const trm_thresholds *a, int64_t n, const double *d,
                       int64_t *from, int64_t *to)
{
    if (set == EASY_ALL || set == WITHIN_MARGIN || set == VIOLATING)
        find_places(a, n, d, margin, set == EASY_ALL ? to : from);
    if (set == WITHIN_MARGIN || set == HARD_ALL)
        find_places(a, n, d, 0.0, set == HARD_ALL ? from : to);
    for (int64_t i = 0; i < n; i++) {
        if (set == EASY_ALL)
            from[i] = 0;
        if (set == HARD_ALL || set == VIOLATING)
            to[i] = a->count;
    }
}

/* The distances that could be in a set, a little wider than the truth, as sums are rounded. */
static void window_of(trm_set set, double margin, const trm_thresholds *a, double *lo, double *hi)
{
    const double first = a->t[0], last = a->t[a->count - 1];
    const double slack = 8.0 * DBL_EPSILON * (fmax(fabs(first), fabs(last)) + margin);
    *lo = set == WITHIN_MARGIN ? first : set == EASY_ALL ? first + margin - slack : -INFINITY;
    *hi = set == HARD_ALL ? last : set == EASY_ALL ? INFINITY : last + margin + slack;
}

/* ---- counting ---- */

/* What is counted; easy-all is what it leaves. */
static trm_set counted_of(const trm_negatives *negatives)
{
    return set_of(negatives) == EASY_ALL ? VIOLATING : set_of(negatives);
}

static int64_t count_slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)there;
    return shape == 0 ? pairs : pairs > 0 ? COUNTED : 0;
}

static void count_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const trm_negatives *negatives = query->settings;
    const trm_thresholds a = trm_thresholds_of(state, row);
    window_of(counted_of(negatives), negatives->options.margin, &a, lo, hi);
}

static bool count_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                        int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    const bool left = set_of(negatives) == EASY_ALL;
    trm_thresholds a = trm_thresholds_of(state, row);
    int64_t *counted = (int64_t *)state->field[FIELD_COUNTED] + state->offset[1][row];
    int64_t from[TRM_THRESHOLDS_BATCH], to[TRM_THRESHOLDS_BATCH];
    trm_thresholds_grid(&a);
    for (int64_t at = 0; at < seen->n; at += TRM_THRESHOLDS_BATCH) {
        const int64_t n = seen->n - at < TRM_THRESHOLDS_BATCH ? seen->n - at : TRM_THRESHOLDS_BATCH;
        find_pairs(counted_of(negatives), negatives->options.margin, &a, n, seen->d + at, from, to);
        for (int64_t i = 0; i < n; i++) {
            counted[COUNTED_TRIPLETS] += to[i] - from[i];
            counted[COUNTED_NEGATIVES] += left ? from[i] == 0 : to[i] > from[i];
        }
    }
    return false;
}

static const trm_query_type counting = {
    .name = "set being counted",
    .relation = TRM_OTHER_LABEL,
    .shapes = 2,
    .fields = TRM_FIELD_BEYOND_THRESHOLDS + 1,
    .field = {TRM_THRESHOLDS_FIELDS, {"counted", TRM_FIELD_FOUND, 1, sizeof(int64_t), &trm_merge_sum}},
    .slots = count_slots,
    .give = trm_thresholds_give,
    .prepare = trm_thresholds_prepare,
    .window = count_window,
    .offer = count_offer,
};

static trm_set_size size(const trm_negatives *negatives, const trm_state *state, int64_t row,
                         const trm_candidate *pair, int64_t pairs, int64_t others)
{
    (void)pair;
    const int64_t *counted = (const int64_t *)state->field[FIELD_COUNTED] + state->offset[1][row];
    const trm_set_size found = {counted[COUNTED_TRIPLETS], counted[COUNTED_NEGATIVES]};
    if (set_of(negatives) ==
        EASY_ALL) /* found: violating, and the negatives that serve no pair of easy-all */
        return (trm_set_size){pairs * others - found.triplets, others - found.negatives};
    return found;
}

/* ---- listing ---- */

static void list_window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const trm_negatives *negatives = query->settings;
    const trm_thresholds a = trm_thresholds_of(state, row);
    *lo = INFINITY;
    *hi = -INFINITY;
    if (trm_state_count(state, 1, row) > 0)
        window_of(set_of(negatives), negatives->options.margin, &a, lo, hi);
}

static bool list_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                       int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    trm_thresholds a = trm_thresholds_of(state, row);
    trm_candidate serves[TRM_THRESHOLDS_BATCH];
    int64_t from[TRM_THRESHOLDS_BATCH], to[TRM_THRESHOLDS_BATCH];
    trm_thresholds_grid(&a);
    for (int64_t at = 0; at < seen->n; at += TRM_THRESHOLDS_BATCH) {
        const int64_t n = seen->n - at < TRM_THRESHOLDS_BATCH ? seen->n - at : TRM_THRESHOLDS_BATCH;
        int64_t count = 0;
        find_pairs(set_of(negatives), negatives->options.margin, &a, n, seen->d + at, from, to);
        for (int64_t i = 0; i < n; i++)
            if (to[i] > from[i])
                serves[count++] = (trm_candidate){seen->d[at + i], seen->id[at + i]};
        trm_listing_add(state, row, serves, count);
    }
    return false;
}

static const trm_query_type listing = {
    .name = "set being listed",
    .relation = TRM_OTHER_LABEL,
    .shapes = 2,
    .fields = TRM_FIELD_BEYOND_THRESHOLDS + 1,
    .field = {TRM_THRESHOLDS_FIELDS, TRM_LISTING_FIELD},
    .slots = trm_listing_slots,
    .give = trm_thresholds_give,
    .prepare = trm_thresholds_prepare,
    .window = list_window,
    .offer = list_offer,
    .settle = trm_listing_settle,
};

/* The first of an ascending list that is beyond a threshold. */
static int64_t first_beyond(const trm_candidate *list, int64_t count, double threshold, double limit)
{
    int64_t lo = 0, hi = count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (is_beyond(list[middle].key, threshold, limit))
            hi = middle;
        else
            lo = middle + 1;
    }
    return lo;
}

static int64_t answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    const trm_set set = set_of(negatives);
    int64_t count;
    const trm_candidate *list = trm_listing_of(state, row, &count);
    const int64_t farther = first_beyond(list, count, pair[i].key, 0.0),
                  outside = first_beyond(list, count, pair[i].key, negatives->options.margin);
    const int64_t from = set == WITHIN_MARGIN ? farther : set == EASY_ALL ? outside : 0;
    const int64_t to = set == HARD_ALL ? farther : set == EASY_ALL ? count : outside;
    return trm_listing_answer(list, from, to, answers);
}

/* ---- the rows ---- */

static void begin_within_margin(trm_negatives *negatives)
{
    negatives->question[0] = WITHIN_MARGIN;
}

static void begin_hard_all(trm_negatives *negatives)
{
    negatives->question[0] = HARD_ALL;
}

static void begin_easy_all(trm_negatives *negatives)
{
    negatives->question[0] = EASY_ALL;
}

static void begin_violating(trm_negatives *negatives)
{
    negatives->question[0] = VIOLATING;
}

#define SET(word_name, word_about, begin_fn)                                                                 \
    {                                                                                                        \
        .word = {.name = (word_name), .about = (word_about)}, .query = &counting, .takes = TRM_TAKES_MARGIN, \
        .begin = (begin_fn), .size = size, .listing = &listing, .answer = answer                             \
    }

const trm_negatives_policy trm_negatives_within_margin = SET(
                               "within-margin", "a set: 0 < d(a,n) - d(a,p) <= margin", begin_within_margin),
                           trm_negatives_hard_all =
                               SET("hard-all", "a set: d(a,n) <= d(a,p)", begin_hard_all),
                           trm_negatives_easy_all =
                               SET("easy-all", "a set: d(a,n) - d(a,p) > margin", begin_easy_all),
                           trm_negatives_violating =
                               SET("violating", "a set: d(a,n) - d(a,p) <= margin", begin_violating);
