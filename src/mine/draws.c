/* What the policies that draw have in common; see draws.h. */
#include "mine/choice.h"
#include "mine/draws.h"

int64_t trm_draws_most(const trm_negatives *negatives)
{
    return negatives->count;
}

static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)shape;
    (void)there;
    return pairs > 0 ? trm_draws_most(query->settings) : 0;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    int64_t count;
    trm_draw *list = trm_draws_of(state, 0, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const double worst = list[count - 1].key;
        const double key = negatives->policy->key(negatives, state->id[row], seen, i, worst);
        if (key <= worst && key < INFINITY)
            changed |= trm_draw_insert(list, count, (trm_draw){key, seen->id[i], seen->d[i]});
    }
    return changed;
}

const trm_query_type trm_draws_query = {
    .name = "drawn negatives",
    .relation = TRM_OTHER_LABEL,
    .every_pair = true, /* any distance may be drawn */
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_draw), &trm_merge_draw_list}},
    .slots = slots,
    .window = trm_query_all_window,
    .offer = offer,
};

void trm_draws_begin(trm_negatives *negatives)
{
    if (negatives->filters.any || negatives->options.ranks != NULL)
        trm_choice_begin(negatives);
}
