/* --negatives topk:K, and hard, which is topk:1: the K nearest rows of other labels that ranks and filters leave, for
 * each pair of an anchor. Without filters an anchor keeps an ascending list of the nearest up to the last rank that is
 * needed; with them choice.c does it. */
#include "mine/choice.h"
#include "sweep/list.h"

static int64_t most(const trm_negatives *negatives)
{
    return negatives->count > 0 ? negatives->count : 1;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* No more than there are negatives. */
static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)shape;
    const trm_negatives *negatives = query->settings;
    const trm_filters *filters = &negatives->filters;
    const int64_t before = smaller(filters->first - 1, there.negatives);
    const int64_t needed = smaller(before + smaller(most(negatives), there.negatives), filters->last);
    return pairs > 0 ? smaller(needed, there.negatives) : 0;
}

static const trm_query_type type = {
    .name = "nearest negatives",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_candidate), &trm_merge_list}},
    .slots = slots,
    .window = trm_list_window,
    .keeps = trm_list_keeps,
    .offer = trm_list_offer,
};

static void begin(trm_negatives *negatives)
{
    if (negatives->filters.any || negatives->filters.shortlisted)
        trm_choice_begin(negatives);
}

static int64_t answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answers)
{
    int64_t room, count = 0;
    if (trm_choice_is_asked(negatives))
        return trm_choice_answer(negatives, state, row, pair, i, answers);
    const trm_candidate *list = trm_list_of(state, row, &room);
    for (int64_t k = negatives->filters.first - 1;
         k < room && count < most(negatives) && trm_candidate_exists(list[k]); k++)
        answers[count++] = (trm_answer){list[k].id, list[k].key, TRM_KIND_SEMIHARD};
    return count;
}

const trm_negatives_policy trm_negatives_hard = {
    .word = {.name = "hard", .about = "the nearest of all negatives, whatever d(a,p)"},
    .query = &type,
    .takes = TRM_TAKES_FILTERS,
    .begin = begin,
    .most = most,
    .answer = answer,
    .removed = trm_choice_removed,
    .removed_in_sweeps = trm_choice_removed_in_sweeps};
const trm_negatives_policy trm_negatives_topk = {
    .word = {.name = "topk",
             .about = "the K nearest of all negatives, whatever d(a,p)",
             .number = "K",
             .least = 1,
             .most = INT32_MAX},
    .query = &type,
    .takes = TRM_TAKES_FILTERS,
    .begin = begin,
    .most = most,
    .answer = answer,
    .removed = trm_choice_removed,
    .removed_in_sweeps = trm_choice_removed_in_sweeps};
