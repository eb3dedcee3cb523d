/* --negatives random:K: K of all negatives, without replacement, for each pair of an anchor. One ascending list
 * of draws an anchor. */
#include "mine/draws.h"

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    int64_t count;
    trm_draw *list = trm_draws_of(state, 0, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const double u = trm_draws_uniform(negatives->options.seed, state->id[row], seen->id[i]);
        if (u <= list[count - 1].key)
            changed |= trm_draw_insert(list, count, (trm_draw){u, seen->id[i], seen->d[i]});
    }
    return changed;
}

static const trm_query_type type = {
    .name = "random negatives",
    .relation = TRM_OTHER_LABEL,
    .every_pair = true, /* any distance may be drawn */
    .shapes = 1,
    .fields = 1,
    .field = {{"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_draw), &trm_merge_draw_list}},
    .slots = trm_draws_slots,
    .window = trm_query_all_window,
    .offer = offer,
};

const trm_negatives_policy trm_negatives_random = {.word = {.name = "random",
                                                            .about = "K of all negatives, drawn by --seed",
                                                            .number = "K",
                                                            .least = 1,
                                                            .most = INT32_MAX},
                                                   .query = &type,
                                                   .takes = TRM_TAKES_SEED,
                                                   .most = trm_draws_most,
                                                   .answer = trm_draws_answer};
