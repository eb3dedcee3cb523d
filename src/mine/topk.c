/* --negatives topk:K, and hard, which is topk:1: the K nearest rows of other labels that ranks and filters leave, for
 * each pair of an anchor.
 *
 * What is kept of an anchor is an ascending list, long enough that the answer is in it whatever the filters will say:
 *  - without filters, the nearest up to the last rank that is needed;
 *  - ranks that count before the filters and have an end: all up to that. Filters are asked when the anchor is answered,
 *    and what they removed of these ranks is counted then;
 *  - else filters are asked in the sweep: the list is of what passes, and a tally counts what they removed. Where ranks
 *    have a beginning A but no end, a second list, of the A - 1 nearest of all, says which of the first are too near,
 *    and which of those that were counted have no part in it. */
#include "mine/negatives.h"

enum { FIELD_LIST, FIELD_NEARER, FIELD_D_POS, FIELDS };

/* Are filters asked in the sweep? */
static bool asks_in_sweep(const trm_negatives *negatives)
{
    const trm_filters *filters = &negatives->filters;
    return filters->any && (filters->after || filters->last == INT64_MAX);
}

static int64_t length_of(const trm_negatives *negatives)
{
    return negatives->count > 0 ? negatives->count : 1;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Of the list: no more than there are negatives. */
static int64_t list_length(const trm_negatives *negatives, int64_t class_size)
{
    const trm_filters *filters = &negatives->filters;
    const int64_t there = negatives->rows > class_size ? negatives->rows - class_size : 1;
    const int64_t before = smaller(filters->first - 1, there);
    const int64_t needed = smaller(before + smaller(length_of(negatives), there), filters->last);
    return smaller(filters->any && !asks_in_sweep(negatives) ? filters->last : needed, there);
}

/* Of the second list. */
static int64_t nearer_length(const trm_negatives *negatives, int64_t class_size)
{
    const int64_t there = negatives->rows > class_size ? negatives->rows - class_size : 1;
    return asks_in_sweep(negatives) && !negatives->filters.after
               ? smaller(negatives->filters.first - 1, there)
               : 0;
}

static int64_t slots(const trm_query *query, int shape, int64_t class_size, int64_t pairs)
{
    const trm_negatives *negatives = query->settings;
    if (pairs == 0)
        return 0;
    if (shape == FIELD_LIST)
        return list_length(negatives, class_size);
    return shape == FIELD_NEARER ? nearer_length(negatives, class_size) : negatives->filters.by_positive;
}

static trm_candidate *list_of(const trm_state *state, int field, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, field, row);
    return (trm_candidate *)state->field[field] + state->offset[field][row];
}

static bool insert(trm_candidate *list, int64_t count, double d, int64_t id)
{
    return count > 0 && d <= list[count - 1].key && trm_candidate_insert(list, count, (trm_candidate){d, id});
}

/* ---- no filters ---- */

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *list = list_of(state, FIELD_LIST, row, &count);
    *lo = -INFINITY;
    *hi = list[count - 1].key;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *list = list_of(state, FIELD_LIST, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++)
        changed |= insert(list, count, seen->d[i], seen->id[i]);
    return changed;
}

static const trm_query_type nearest_type = {
    .name = "nearest negatives",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},
    .slots = slots,
    .window = window,
    .offer = offer,
};

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

/* The largest distance that could still get into a list, or be counted. */
static double filtered_end(const trm_negatives *negatives, const trm_state *state, int64_t row)
{
    int64_t count;
    const trm_candidate *list = list_of(state, FIELD_LIST, row, &count);
    double end = list[count - 1].key;
    if (!asks_in_sweep(negatives))
        return end;
    const double counted = trm_filters_end(&negatives->filters, d_pos_of(state, row));
    const bool limited = trm_filters_has(&negatives->filters, TRM_FILTER_MAX_DISTANCE);
    end = limited ? counted : fmax(end, counted); /* nothing that passes is farther than the limit */
    list = list_of(state, FIELD_NEARER, row, &count);
    return count > 0 ? fmax(end, list[count - 1].key) : end;
}

static void filtered_window(const trm_query *query, const trm_state *state, int64_t row, double *lo,
                            double *hi)
{
    *lo = -INFINITY;
    *hi = filtered_end(query->settings, state, row);
}

static bool filtered_offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen,
                           int64_t *tally)
{
    const trm_negatives *negatives = query->settings;
    int64_t count, nearer_count;
    trm_candidate *list = list_of(state, FIELD_LIST, row, &count);
    trm_candidate *nearer = list_of(state, FIELD_NEARER, row, &nearer_count);
    if (!asks_in_sweep(negatives))
        return offer(query, state, row, seen, tally);
    const double d_pos = d_pos_of(state, row);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const int by = trm_filters_remove(&negatives->filters, d_pos, seen->d[i]);
        tally[by]++;
        changed |= insert(nearer, nearer_count, seen->d[i], seen->id[i]);
        if (by == TRM_FILTERS_PASSED)
            changed |= insert(list, count, seen->d[i], seen->id[i]);
    }
    return changed;
}

static const trm_query_type filtered_type = {
    .name = "nearest negatives that pass",
    .relation = TRM_OTHER_LABEL,
    .shapes = FIELDS,
    .fields = FIELDS,
    .field = {[FIELD_LIST] = {"negatives", TRM_FIELD_FOUND, FIELD_LIST, sizeof(trm_candidate),
                              &trm_merge_list},
              [FIELD_NEARER] = {"nearer", TRM_FIELD_FOUND, FIELD_NEARER, sizeof(trm_candidate),
                                &trm_merge_list},
              [FIELD_D_POS] = {"d_pos", TRM_FIELD_GIVEN, FIELD_D_POS, sizeof(double), NULL}},
    .tally = TRM_FILTERS_WORDS,
    .slots = slots,
    .give = give,
    .window = filtered_window,
    .offer = filtered_offer,
};

static void begin(trm_negatives *negatives)
{
    if (negatives->filters.any)
        negatives->query.type = &filtered_type;
}

/* ---- answers ---- */

/* Of a state with filters: what removes place k of the list, TRM_FILTERS_PASSED where nothing does. */
static int removed_by(const trm_negatives *negatives, const trm_state *state, int64_t row, double d)
{
    return trm_filters_remove(&negatives->filters, d_pos_of(state, row), d);
}

/* The first place of the list that may be chosen. */
static int64_t first_place(const trm_negatives *negatives, const trm_state *state, int64_t row)
{
    int64_t count, nearer_count, at = 0;
    if (!asks_in_sweep(negatives) || negatives->filters.after)
        return negatives->filters.first - 1;
    const trm_candidate *list = list_of(state, FIELD_LIST, row, &count);
    const trm_candidate *nearer = list_of(state, FIELD_NEARER, row, &nearer_count);
    while (nearer_count > 0 && at < count && !trm_candidate_less(nearer[nearer_count - 1], list[at]))
        at++;
    return at;
}

static int64_t answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    (void)pair;
    (void)i;
    int64_t room, count = 0;
    const bool ask = negatives->filters.any && !asks_in_sweep(negatives);
    const trm_candidate *list = list_of(state, FIELD_LIST, row, &room);
    for (int64_t k = first_place(negatives, state, row);
         k < room && count < length_of(negatives) && trm_candidate_exists(list[k]); k++)
        if (!ask || removed_by(negatives, state, row, list[k].key) == TRM_FILTERS_PASSED)
            answers[count++] = (trm_answer){list[k].id, list[k].key, TRM_KIND_SEMIHARD};
    return count;
}

/* Of ranks with an end, what filters remove of them; of others, less what was counted and is nearer. */
static void removed(const trm_negatives *negatives, const trm_state *state, int64_t row,
                    int64_t total[TRM_FILTERS])
{
    const bool counted = asks_in_sweep(negatives);
    int64_t count;
    if (!negatives->filters.any)
        return;
    const trm_candidate *list = list_of(state, counted ? FIELD_NEARER : FIELD_LIST, row, &count);
    for (int64_t k = counted ? 0 : negatives->filters.first - 1; k < count && trm_candidate_exists(list[k]);
         k++) {
        const int by = removed_by(negatives, state, row, list[k].key);
        if (by != TRM_FILTERS_PASSED)
            total[by] += counted ? -1 : 1;
    }
}

static void removed_in_sweeps(const trm_negatives *negatives, const int64_t *tally, int64_t candidates,
                              int64_t total[TRM_FILTERS])
{
    if (asks_in_sweep(negatives))
        trm_filters_total(&negatives->filters, tally, candidates, total);
}

const trm_negatives_policy trm_negatives_hard = {
    .word = {.name = "hard", .about = "the nearest of all negatives, whatever d(a,p)"},
    .query = &nearest_type,
    .takes = TRM_TAKES_FILTERS,
    .begin = begin,
    .most = length_of,
    .answer = answer,
    .removed = removed,
    .removed_in_sweeps = removed_in_sweeps};
const trm_negatives_policy trm_negatives_topk = {
    .word = {.name = "topk",
             .about = "the K nearest of all negatives, whatever d(a,p)",
             .number = "K",
             .least = 1,
             .most = INT32_MAX},
    .query = &nearest_type,
    .takes = TRM_TAKES_FILTERS,
    .begin = begin,
    .most = length_of,
    .answer = answer,
    .removed = removed,
    .removed_in_sweeps = removed_in_sweeps};
