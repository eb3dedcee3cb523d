/* --negatives topk:K, and hard, which is topk:1: the K nearest rows of other labels, whatever d(a,p), for each pair
 * of an anchor. One ascending list an anchor. */
#include "mine/negatives.h"

enum { FIELD_LIST };

static int64_t length_of(const trm_negatives *negatives)
{
    return negatives->count > 0 ? negatives->count : 1;
}

static int64_t slots(const trm_query *query, int shape, int64_t class_size, int64_t pairs)
{
    (void)shape;
    (void)class_size;
    return pairs > 0 ? length_of(query->settings) : 0;
}

static trm_candidate *list_of(const trm_state *state, int64_t row, int64_t *count)
{
    *count = trm_state_count(state, 0, row);
    return (trm_candidate *)state->field[FIELD_LIST] + state->offset[0][row];
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    int64_t count;
    const trm_candidate *list = list_of(state, row, &count);
    *lo = -INFINITY;
    *hi = list[count - 1].key;
}

static bool wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)query;
    (void)hi;
    int64_t count;
    const trm_candidate *list = list_of(state, row, &count);
    return lo <= list[count - 1].key;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    (void)tally;
    int64_t count;
    trm_candidate *list = list_of(state, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++)
        if (seen->d[i] <= list[count - 1].key)
            changed |= trm_candidate_insert(list, count, (trm_candidate){seen->d[i], seen->id[i]});
    return changed;
}

static const trm_query_type type = {
    .name = "nearest negatives",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},
    .slots = slots,
    .window = window,
    .wants = wants,
    .offer = offer,
};

static int64_t answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    (void)negatives;
    (void)pair;
    (void)i;
    int64_t room, count = 0;
    for (const trm_candidate *list = list_of(state, row, &room);
         count < room && trm_candidate_exists(list[count]); count++)
        answers[count] = (trm_answer){list[count].id, list[count].key, TRM_KIND_SEMIHARD};
    return count;
}

const trm_negatives_policy trm_negatives_hard = {
    .word = {.name = "hard", .about = "the nearest of all negatives, whatever d(a,p)"},
    .query = &type,
    .most = length_of,
    .answer = answer};
const trm_negatives_policy trm_negatives_topk = {
    .word = {.name = "topk",
             .about = "the K nearest of all negatives, whatever d(a,p)",
             .number = "K",
             .least = 1,
             .most = INT32_MAX},
    .query = &type,
    .most = length_of,
    .answer = answer};
