/* A choice of negatives under ranks and filters; see choice.h. */
#include "mine/choice.h"

#include "metric/metric.h"
#include "mine/draws.h"

#include <stdlib.h>
#include <string.h>

/* The last one only where negatives near a positive are removed. */
enum { FIELD_LIST, FIELD_NEARER, FIELD_D_POS, FIELD_POSITIVES, FIELDS };

/* In the place of what a negative in a list of nearest ones is chosen by: a filter removed it. */
static const double filtered_out = -INFINITY;

/* ---- which lists ---- */

static bool has_end(const trm_negatives *negatives)
{
    return negatives->filters.last < INT64_MAX;
}

/* Are filters asked, and counted, in the sweep? */
static bool asks_in_sweep(const trm_negatives *negatives)
{
    const trm_filters *filters = &negatives->filters;
    return filters->any && (filters->after || !has_end(negatives));
}

/* Is the list by draws, not by distance? */
static bool is_by_draw(const trm_negatives *negatives)
{
    return negatives->policy->key != NULL && !has_end(negatives);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* No more than there are negatives. */
static int64_t list_length(const trm_negatives *negatives, int64_t there)
{
    const trm_filters *filters = &negatives->filters;
    const int64_t before = smaller(filters->first - 1, there);
    const int64_t chosen = smaller(negatives->policy->most(negatives), there);
    const bool all_ranks =
        has_end(negatives) && (negatives->policy->key != NULL || !asks_in_sweep(negatives));
    return smaller(all_ranks ? filters->last : smaller(before + chosen, filters->last), there);
}

/* Of the second list. Nearest ones of which all are seen need none: a place in the list is a rank. */
static int64_t nearer_length(const trm_negatives *negatives, int64_t there)
{
    const trm_filters *filters = &negatives->filters;
    const bool place_is_rank = has_end(negatives) || (filters->after && !is_by_draw(negatives));
    return place_is_rank ? 0 : smaller(filters->first - 1, there);
}

/* A positive in the field of positives: as many slots as it takes. They are in the order of the pairs: d_ap ascends. */
typedef struct positive {
    double d_ap, norm2;
    float x[];
} positive;

static int64_t positive_words(int dim)
{
    return (int64_t)(sizeof(positive) + (size_t)dim * sizeof(float) + 7) / 8;
}

static positive *positive_of(const trm_state *state, int64_t row, int64_t i, int dim)
{
    int64_t *words = (int64_t *)state->field[FIELD_POSITIVES] + state->offset[FIELD_POSITIVES][row];
    return (positive *)(void *)(words + i * positive_words(dim));
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    const trm_negatives *negatives = query->settings;
    if (pairs == 0)
        return 0;
    if (shape == FIELD_LIST)
        return list_length(negatives, there.negatives);
    if (shape == FIELD_POSITIVES)
        return pairs * positive_words(negatives->dim);
    return shape == FIELD_NEARER ? nearer_length(negatives, there.negatives) : negatives->filters.by_positive;
}

/* ---- filters ---- */

/* Of the anchor's farthest positive; 0 where no filter asks. */
static double d_pos_of(const trm_state *state, int64_t row)
{
    const double *d_pos = state->field[FIELD_D_POS];
    return trm_state_count(state, FIELD_D_POS, row) > 0 ? d_pos[state->offset[FIELD_D_POS][row]] : 0.0;
}

static void give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                 int64_t pairs)
{
    (void)query;
    double *d_pos = state->field[FIELD_D_POS];
    if (trm_state_count(state, FIELD_D_POS, row) > 0)
        d_pos[state->offset[FIELD_D_POS][row]] = pair[pairs - 1].key;
}

static void give_near(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                      int64_t pairs)
{
    const trm_negatives *negatives = query->settings;
    give(query, state, row, pair, pairs);
    for (int64_t i = 0; i < pairs; i++) /* of a lone anchor there is none: near nothing */
        positive_of(state, row, i, negatives->dim)->d_ap = pair[i].id >= 0 ? pair[i].key : NAN;
}

static void give_row(const trm_query *query, trm_state *state, int64_t row, int64_t i, trm_row given)
{
    const trm_negatives *negatives = query->settings;
    positive *into = positive_of(state, row, i, negatives->dim);
    into->norm2 = *given.norm2;
    memcpy(into->x, given.x, (size_t)negatives->dim * sizeof *given.x);
}

/* The first of an anchor's positives with d_ap >= least. */
static int64_t first_positive(const trm_state *state, int64_t row, int64_t count, int dim, double least)
{
    int64_t lo = 0, hi = count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (positive_of(state, row, middle, dim)->d_ap < least)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

/* Is what is seen near any positive of the anchor? Only those as far from the anchor as it must be are measured. */
static bool is_near(const trm_negatives *negatives, const trm_state *state, int64_t row, const trm_seen *seen,
                    int64_t at)
{
    const trm_metric metric = negatives->options.metric;
    const double radius = negatives->filters.bound[TRM_FILTER_NOT_NEAR_POSITIVE];
    const int dim = negatives->dim;
    const int64_t count = trm_state_count(state, FIELD_POSITIVES, row) / positive_words(dim);
    double least, most;
    trm_distance_range(metric, dim, seen->d[at], radius, &least, &most);
    for (int64_t i = first_positive(state, row, count, dim, least); i < count; i++) {
        const positive *one = positive_of(state, row, i, dim);
        if (!(one->d_ap <= most))
            break;
        if (trm_distance(metric, one->x, one->norm2, seen->other.x + at * dim, seen->other.norm2[at], dim,
                         NULL) <= radius)
            return true;
    }
    return false;
}

/* The first filter that removes what is seen; TRM_FILTERS_PASSED where none does. */
static int removed_by(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_seen *seen, int64_t i)
{
    const int by = trm_filters_remove(&negatives->filters, d_pos_of(state, row), seen->d[i]);
    if (by == TRM_FILTERS_PASSED && trm_filters_has(&negatives->filters, TRM_FILTER_NOT_NEAR_POSITIVE) &&
        is_near(negatives, state, row, seen, i))
        return TRM_FILTER_NOT_NEAR_POSITIVE;
    return by;
}

/* ---- the sweep ---- */

/* The largest distance that could still get into a list, or be counted. */
static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    const trm_negatives *negatives = query->settings;
    const trm_filters *filters = &negatives->filters;
    int64_t count, nearer_count;
    const trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    const trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &nearer_count);
    double end = is_by_draw(negatives) ? INFINITY : list[count - 1].key;
    if (asks_in_sweep(negatives)) {
        const double counted = trm_filters_end(filters, negatives->dim, d_pos_of(state, row));
        const bool limited = trm_filters_has(filters, TRM_FILTER_MAX_DISTANCE);
        end = limited ? counted : fmax(end, counted); /* nothing that passes is farther than the limit */
    }
    *lo = -INFINITY;
    *hi = nearer_count > 0 ? fmax(end, nearer[nearer_count - 1].key) : end;
}

static bool insert(trm_draw *list, int64_t count, double key, int64_t id, double d)
{
    return count > 0 && key <= list[count - 1].key && trm_draw_insert(list, count, (trm_draw){key, id, d});
}

static double key_of(const trm_negatives *negatives, const trm_state *state, int64_t row,
                     const trm_seen *seen, int64_t i, double worst)
{
    return negatives->policy->key != NULL ? negatives->policy->key(negatives, state->id[row], seen, i, worst)
                                          : seen->d[i];
}

/* Into the list by draws, what passed. */
static bool offer_draw(const trm_negatives *negatives, const trm_state *state, int64_t row,
                       const trm_seen *seen, int64_t i)
{
    int64_t count;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    const double key = key_of(negatives, state, row, seen, i, list[count - 1].key);
    return key < INFINITY && insert(list, count, key, seen->id[i], seen->d[i]);
}

/* Into the list by distance, what passed or has not been asked about yet. */
static bool offer_near(const trm_negatives *negatives, const trm_state *state, int64_t row,
                       const trm_seen *seen, int64_t i)
{
    int64_t count;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    if (seen->d[i] > list[count - 1].key)
        return false;
    const bool passed =
        asks_in_sweep(negatives) || removed_by(negatives, state, row, seen, i) == TRM_FILTERS_PASSED;
    return insert(list, count, seen->d[i], seen->id[i],
                  passed ? key_of(negatives, state, row, seen, i, INFINITY) : filtered_out);
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    const trm_negatives *negatives = query->settings;
    const bool asks = asks_in_sweep(negatives), by_draw = is_by_draw(negatives);
    int64_t count;
    trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const int by = asks ? removed_by(negatives, state, row, seen, i) : TRM_FILTERS_PASSED;
        const bool passed = by == TRM_FILTERS_PASSED;
        if (asks)
            tally[by]++;
        if (passed || !negatives->filters.after)
            changed |= insert(nearer, count, seen->d[i], seen->id[i], passed ? seen->d[i] : filtered_out);
        if (passed)
            changed |= by_draw ? offer_draw(negatives, state, row, seen, i)
                               : offer_near(negatives, state, row, seen, i);
    }
    return changed;
}

/* ---- answers ---- */

/* May place k of the list be chosen, by its rank? */
static bool has_rank(const trm_negatives *negatives, const trm_state *state, int64_t row,
                     const trm_draw *list, int64_t k)
{
    int64_t count;
    const trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &count);
    if (count == 0)
        return k >= negatives->filters.first - 1;
    const trm_draw one = {is_by_draw(negatives) ? list[k].d : list[k].key, list[k].id, 0.0};
    return trm_draw_less(nearer[count - 1], one);
}

/* The list becomes one by what is chosen by, and what filters removed of it comes last, with a key of infinity. What has
 * not the rank, or is never drawn, goes. */
static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)scratch;
    const trm_negatives *negatives = query->settings;
    int64_t count, kept = 0;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    for (int64_t k = 0; k < count && trm_draw_exists(list[k]); k++) {
        if (!has_rank(negatives, state, row, list, k))
            continue;
        trm_draw one = list[k];
        if (!is_by_draw(negatives)) {
            if (one.d == INFINITY)
                continue;
            one = (trm_draw){one.d == filtered_out ? INFINITY : one.d, one.id, one.key};
        }
        list[kept++] = one;
    }
    for (int64_t k = kept; k < count; k++)
        list[k] = TRM_NO_DRAW;
    if (kept > 1)
        qsort(list, (size_t)kept, sizeof *list, trm_draw_compare);
}

int64_t trm_choice_answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                          const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    (void)pair;
    (void)i;
    const int64_t most = negatives->policy->most(negatives);
    int64_t room, count = 0;
    const trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &room);
    for (; count < room && count < most && list[count].key < INFINITY; count++)
        answers[count] = (trm_answer){list[count].id, list[count].d, TRM_KIND_SEMIHARD};
    return count;
}

/* Adds so many to the filter that removed a negative at distance d: if it was none of the distance, by a positive. */
static void charge(const trm_negatives *negatives, const trm_state *state, int64_t row, double d,
                   int64_t times, int64_t total[TRM_FILTERS])
{
    const int by = trm_filters_remove(&negatives->filters, d_pos_of(state, row), d);
    total[by == TRM_FILTERS_PASSED ? TRM_FILTER_NOT_NEAR_POSITIVE : by] += times;
}

/* Of ranks with an end, what filters removed of them; of others, less what was counted and is nearer. */
void trm_choice_removed(const trm_negatives *negatives, const trm_state *state, int64_t row,
                        int64_t total[TRM_FILTERS])
{
    int64_t count;
    if (!trm_choice_is_asked(negatives) || !negatives->filters.any)
        return;
    if (!asks_in_sweep(negatives)) {
        const trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
        for (int64_t k = 0; k < count && trm_draw_exists(list[k]); k++)
            if (list[k].key == INFINITY)
                charge(negatives, state, row, list[k].d, 1, total);
        return;
    }
    const trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &count);
    for (int64_t k = 0; k < count && trm_draw_exists(nearer[k]); k++)
        if (nearer[k].d == filtered_out)
            charge(negatives, state, row, nearer[k].key, -1, total);
}

void trm_choice_removed_in_sweeps(const trm_negatives *negatives, const int64_t *tally, int64_t candidates,
                                  int64_t total[TRM_FILTERS])
{
    if (trm_choice_is_asked(negatives) && asks_in_sweep(negatives))
        trm_filters_total(&negatives->filters, tally, candidates, total);
}

#define FILTER_FIELDS                                                                                        \
    [FIELD_LIST] = {"negatives", TRM_FIELD_FOUND, FIELD_LIST, sizeof(trm_draw), &trm_merge_draw_list},       \
    [FIELD_NEARER] = {"nearer", TRM_FIELD_FOUND, FIELD_NEARER, sizeof(trm_draw), &trm_merge_draw_list},      \
    [FIELD_D_POS] = {"d_pos", TRM_FIELD_GIVEN, FIELD_D_POS, sizeof(double), NULL}

static const trm_query_type type = {
    .name = "choice of negatives",
    .relation = TRM_OTHER_LABEL,
    .shapes = FIELD_POSITIVES,
    .fields = FIELD_POSITIVES,
    .field = {FILTER_FIELDS},
    .tally = TRM_FILTERS_WORDS,
    .slots = slots,
    .give = give,
    .window = window,
    .offer = offer,
    .settle = settle,
};

static const trm_query_type type_near = {
    .name = "choice of negatives that are near no positive",
    .relation = TRM_OTHER_LABEL,
    .shapes = FIELDS,
    .fields = FIELDS,
    .field = {FILTER_FIELDS, [FIELD_POSITIVES] = {"rows of positives", TRM_FIELD_GIVEN, FIELD_POSITIVES,
                                                  sizeof(int64_t), NULL}},
    .tally = TRM_FILTERS_WORDS,
    .slots = slots,
    .give = give_near,
    .give_row = give_row,
    .window = window,
    .offer = offer,
    .settle = settle,
};

void trm_choice_begin(trm_negatives *negatives)
{
    const bool near = trm_filters_has(&negatives->filters, TRM_FILTER_NOT_NEAR_POSITIVE);
    negatives->query.type = near ? &type_near : &type;
}

bool trm_choice_is_asked(const trm_negatives *negatives)
{
    return negatives->query.type->settle == settle; /* also where lists were added to it */
}
