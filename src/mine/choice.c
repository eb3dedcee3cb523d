/* A choice of negatives under ranks and filters; see choice.h. */
#include "mine/choice.h"

#include "mine/draws.h"

#include <stdlib.h>
#include <string.h>

/* The last one only where negatives near a positive are removed. */
enum { FIELD_LIST, FIELD_NEARER, FIELD_D_POS, FIELD_POSITIVES, FIELD_NEAR, FIELDS };

/* In the place of what a negative in a list of nearest ones is chosen by: a filter removed it. */
static const double filtered_out = -INFINITY;

/* ---- which lists ---- */

static bool has_end(const trm_negatives *negatives)
{
    return negatives->filters.shortlisted || negatives->filters.last < INT64_MAX;
}

/* Are filters asked, and counted, in the sweep? */
static bool asks_in_sweep(const trm_negatives *negatives)
{
    const trm_filters *filters = &negatives->filters;
    return filters->any && !filters->shortlisted && (filters->after || !has_end(negatives));
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
    if (filters->shortlisted)
        return smaller(filters->shortlist, there);
    const int64_t before = smaller(filters->first - 1, there);
    const int64_t chosen = smaller(negatives->policy->most(negatives), there);
    const bool all_ranks =
        has_end(negatives) && (negatives->policy->key != NULL || !asks_in_sweep(negatives));
    return smaller(all_ranks ? filters->last : smaller(before + chosen, filters->last), there);
}

/* Nearest ones to keep beyond those that are needed, as some may be removed. The smaller the job is, the more of its time one
 * costs: 13 % at 8,000 rows of 64 dimensions, 3 % at 20,000 of 128. */
static int64_t spare(const trm_negatives *negatives)
{
    enum { MOST = 8, VALUES_EACH = 1 << 21 };
    return smaller(negatives->rows * negatives->dim / VALUES_EACH, MOST);
}

int64_t trm_choice_first_look(const trm_negatives *negatives)
{
    if (negatives->policy->key != NULL)
        return 0;
    const int64_t length = list_length(negatives, negatives->rows);
    for (int f = 0; f < TRM_FILTERS && asks_in_sweep(negatives); f++)
        if (f != TRM_FILTER_NOT_NEAR_POSITIVE && trm_filters_has(&negatives->filters, (trm_filter)f))
            return 0;
    return asks_in_sweep(negatives) ? length + spare(negatives) : length;
}

/* Of the second list. Nearest ones of which all are seen need none: a place in the list is a rank. */
static int64_t nearer_length(const trm_negatives *negatives, int64_t there)
{
    const trm_filters *filters = &negatives->filters;
    const bool place_is_rank = has_end(negatives) || (filters->after && !is_by_draw(negatives));
    return place_is_rank ? 0 : smaller(filters->first - 1, there);
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    const trm_negatives *negatives = query->settings;
    if (pairs == 0)
        return 0;
    if (shape == FIELD_LIST)
        return list_length(negatives, there.negatives);
    if (shape == FIELD_POSITIVES)
        return negatives->filters.shortlisted ? pairs : 0;
    if (shape == FIELD_NEAR)
        return 0; /* until it is known what is near (anchors.c) */
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
    if (trm_state_count(state, FIELD_POSITIVES, row) > 0)
        memcpy((trm_candidate *)state->field[FIELD_POSITIVES] + state->offset[FIELD_POSITIVES][row], pair,
               (size_t)pairs * sizeof *pair);
}

int64_t *trm_choice_near(const trm_state *state, int64_t row, int64_t *room)
{
    *room = trm_state_count(state, FIELD_NEAR, row);
    return (int64_t *)state->field[FIELD_NEAR] + state->offset[FIELD_NEAR][row];
}

/* How many of the row ids near a positive of the anchor are below id. */
static int64_t near_below(const trm_state *state, int64_t row, int64_t id)
{
    int64_t lo = 0, hi;
    const int64_t *near = trm_choice_near(state, row, &hi);
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (near[middle] < id)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static bool asks_near(const trm_negatives *negatives)
{
    return trm_filters_has(&negatives->filters, TRM_FILTER_NOT_NEAR_POSITIVE);
}

/* Is that row near a positive of the anchor? */
static bool is_near(const trm_negatives *negatives, const trm_state *state, int64_t row, int64_t id)
{
    int64_t room;
    if (!asks_near(negatives))
        return false;
    const int64_t *near = trm_choice_near(state, row, &room);
    const int64_t at = near_below(state, row, id);
    return at < room && near[at] == id;
}

/* The first filter that removes what is seen; TRM_FILTERS_PASSED where none does. */
static int removed_by(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_seen *seen, int64_t i)
{
    const int by = trm_filters_remove(&negatives->filters, d_pos_of(state, row), seen->d[i]);
    return by == TRM_FILTERS_PASSED && is_near(negatives, state, row, seen->id[i])
               ? TRM_FILTER_NOT_NEAR_POSITIVE
               : by;
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
        const double counted = trm_filters_end(filters, d_pos_of(state, row));
        const bool limited = trm_filters_has(filters, TRM_FILTER_MAX_DISTANCE);
        end = limited ? counted : fmax(end, counted); /* nothing that passes is farther than the limit */
    }
    *lo = -INFINITY;
    *hi = nearer_count > 0 ? fmax(end, nearer[nearer_count - 1].key) : end;
}

/* A list by distance keeps the nearest of those that no filter removes: all of these but the ones near a positive lie beyond
 * the end of what filters remove, up to which every distance is counted. */
static int64_t keeps(const trm_query *query, const trm_state *state, int64_t row, double *from)
{
    const trm_negatives *negatives = query->settings;
    int64_t count, nearer_count, near = 0;
    trm_draws_of(state, FIELD_LIST, row, &count);
    trm_draws_of(state, FIELD_NEARER, row, &nearer_count);
    if (is_by_draw(negatives))
        return 0;
    if (asks_near(negatives))
        trm_choice_near(state, row, &near);
    *from = asks_in_sweep(negatives) ? trm_filters_end(&negatives->filters, d_pos_of(state, row)) : -INFINITY;
    return (count > nearer_count ? count : nearer_count) + near;
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

/* Into the list by draws, what passed but for what is near a positive, of which not all have been asked. */
static bool offer_draw(const trm_negatives *negatives, const trm_state *state, int64_t row,
                       const trm_seen *seen, int64_t i)
{
    int64_t count;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    const double worst = list[count - 1].key, key = key_of(negatives, state, row, seen, i, worst);
    return key < INFINITY && key <= worst && !is_near(negatives, state, row, seen->id[i]) &&
           insert(list, count, key, seen->id[i], seen->d[i]);
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

/* Are those near a positive counted one by one as they are seen? Else their number is known, and what is counted are those
 * that another filter removes before. */
static bool counts_near(const trm_negatives *negatives)
{
    return trm_filters_has(&negatives->filters, TRM_FILTER_MAX_DISTANCE);
}

/* Could a negative at distance d get into a list of the nearest? */
static bool is_in_reach(const trm_negatives *negatives, const trm_state *state, int64_t row, double d)
{
    int64_t count, nearer_count;
    const trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    const trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &nearer_count);
    return (!is_by_draw(negatives) && d <= list[count - 1].key) ||
           (nearer_count > 0 && d <= nearer[nearer_count - 1].key);
}

/* The first filter that removes what is seen, which it counts. Whether it is near a positive is asked only where a list of
 * the nearest or a counter has to know. */
static int filter(const trm_negatives *negatives, const trm_state *state, int64_t row, const trm_seen *seen,
                  int64_t i, int64_t *tally)
{
    const double d = seen->d[i];
    int by = trm_filters_remove(&negatives->filters, d_pos_of(state, row), d);
    if (by != TRM_FILTERS_PASSED)
        tally[TRM_FILTERS_NEAR_BEFORE] +=
            !counts_near(negatives) && is_near(negatives, state, row, seen->id[i]);
    else if ((counts_near(negatives) || is_in_reach(negatives, state, row, d)) &&
             is_near(negatives, state, row, seen->id[i]))
        by = TRM_FILTER_NOT_NEAR_POSITIVE;
    if (by != TRM_FILTER_NOT_NEAR_POSITIVE || counts_near(negatives))
        tally[by]++;
    return by;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    const trm_negatives *negatives = query->settings;
    const bool asks = asks_in_sweep(negatives), by_draw = is_by_draw(negatives);
    int64_t count;
    trm_draw *nearer = trm_draws_of(state, FIELD_NEARER, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const bool passed = !asks || filter(negatives, state, row, seen, i, tally) == TRM_FILTERS_PASSED;
        if (passed || !negatives->filters.after)
            changed |= insert(nearer, count, seen->d[i], seen->id[i], passed ? seen->d[i] : filtered_out);
        if (passed)
            changed |= by_draw ? offer_draw(negatives, state, row, seen, i)
                               : offer_near(negatives, state, row, seen, i);
    }
    return changed;
}

/* ---- answers ---- */

/* Is place k of the list, which is of the nearest, among the first rows of all, positives among them? */
static bool is_shortlisted(const trm_negatives *negatives, const trm_state *state, int64_t row,
                           const trm_draw *list, int64_t k)
{
    const trm_candidate one = {list[k].key, list[k].id},
                        *positive = (const trm_candidate *)state->field[FIELD_POSITIVES] +
                                    state->offset[FIELD_POSITIVES][row];
    int64_t nearer = k;
    for (int64_t i = 0; i < trm_state_count(state, FIELD_POSITIVES, row); i++)
        nearer += positive[i].id >= 0 && trm_candidate_less(positive[i], one);
    return nearer < negatives->filters.shortlist;
}

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

/* Drops what is not on the shortlist, and of what the filters left there the ranks that may not be chosen. */
static void cut_to_shortlist(const trm_negatives *negatives, const trm_state *state, int64_t row)
{
    const trm_filters *filters = &negatives->filters;
    int64_t count, kept = 0, k = 0, rank = 0;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    for (; k < count && trm_draw_exists(list[k]) && is_shortlisted(negatives, state, row, list, k); k++) {
        const bool removed = list[k].d == filtered_out;
        rank += !removed;
        if (removed || (rank >= filters->first && rank <= filters->last))
            list[kept++] = list[k];
    }
    for (; kept < count; kept++)
        list[kept] = TRM_NO_DRAW;
}

/* The list becomes one by what is chosen by, and what filters removed of it comes last, with a key of infinity. What has
 * not the rank, or is never drawn, goes. */
static void settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch)
{
    (void)scratch;
    const trm_negatives *negatives = query->settings;
    int64_t count, kept = 0;
    trm_draw *list = trm_draws_of(state, FIELD_LIST, row, &count);
    if (negatives->filters.shortlisted)
        cut_to_shortlist(negatives, state, row);
    for (int64_t k = 0; k < count && trm_draw_exists(list[k]); k++) {
        if (!negatives->filters.shortlisted && !has_rank(negatives, state, row, list, k))
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

/* Of ranks with an end, what filters removed of them; of others what is near a positive, less what was counted and is
 * nearer. */
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
    if (asks_near(negatives) && !counts_near(negatives))
        total[TRM_FILTER_NOT_NEAR_POSITIVE] += near_below(state, row, INT64_MAX);
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
    [FIELD_D_POS] = {"d_pos", TRM_FIELD_GIVEN, FIELD_D_POS, sizeof(double), NULL},                           \
    [FIELD_POSITIVES] = {"positives", TRM_FIELD_GIVEN, FIELD_POSITIVES, sizeof(trm_candidate), NULL}

#define FILTER_FUNCTIONS                                                                                     \
    .relation = TRM_OTHER_LABEL, .tally = TRM_FILTERS_WORDS, .slots = slots, .give = give, .window = window, \
    .keeps = keeps, .offer = offer, .settle = settle

static const trm_query_type type = {
    .name = "choice of negatives",
    .shapes = FIELD_NEAR,
    .fields = FIELD_NEAR,
    .field = {FILTER_FIELDS},
    FILTER_FUNCTIONS,
};

static const trm_query_type type_near = {
    .name = "choice of negatives that are near no positive",
    .shapes = FIELDS,
    .fields = FIELDS,
    .field = {FILTER_FIELDS, [FIELD_NEAR] = {"near a positive", TRM_FIELD_GIVEN, FIELD_NEAR, sizeof(int64_t),
                                             NULL}},
    FILTER_FUNCTIONS,
};

void trm_choice_begin(trm_negatives *negatives)
{
    negatives->query.type = asks_near(negatives) ? &type_near : &type;
}

bool trm_choice_is_asked(const trm_negatives *negatives)
{
    return negatives->query.type->settle == settle; /* also where lists were added to it */
}
