/* --negatives reversed, of packed triplets only: the negative with the least [d(a,n) - d(a,p) + margin]+, the first of
 * those that have it. It is a published formula (--compat guide-3) whose loss is this value itself: pairs of an anchor
 * and a negative are pulled together, so it is no triplet loss. */
#include "mine/choice.h"
#include "mine/draws.h"

enum { FIELD_FOUND, FIELD_D_AP };

static void give(const trm_query *query, trm_state *state, int64_t row, const trm_candidate *pair,
                 int64_t pairs)
{
    (void)query;
    (void)pairs;
    ((double *)state->field[FIELD_D_AP])[state->offset[0][row]] = pair[0].key;
}

/* The slots are one a pair: packed triplets have one. */
static int64_t slots(const trm_query *query, int shape, trm_there there, int64_t pairs)
{
    (void)query;
    (void)shape;
    (void)there;
    return pairs > 0 ? 1 : 0;
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)tally;
    const trm_negatives *negatives = query->settings;
    const double d_ap = ((const double *)state->field[FIELD_D_AP])[state->offset[0][row]];
    int64_t count;
    trm_draw *found = trm_draws_of(state, FIELD_FOUND, row, &count);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const double z = (seen->d[i] - d_ap) + negatives->options.margin;
        changed |= trm_draw_put(found, (trm_draw){z > 0.0 ? z : 0.0, seen->id[i], seen->d[i]});
    }
    return changed;
}

static const trm_query_type type = {
    .name = "reversed",
    .relation = TRM_OTHER_LABEL,
    .shapes = 1,
    .fields = 2,
    .field = {[FIELD_FOUND] = {"negatives", TRM_FIELD_FOUND, 0, sizeof(trm_draw), &trm_merge_draw},
              [FIELD_D_AP] = {"d_ap", TRM_FIELD_GIVEN, 0, sizeof(double), NULL}},
    .slots = slots,
    .give = give,
    .window = trm_query_all_window,
    .offer = offer,
};

const trm_negatives_policy trm_negatives_reversed = {
    .word = {.name = "reversed", .about = "packed triplets: guide-3's rule, no triplet loss"},
    .query = &type,
    .most = trm_negatives_one,
    .answer = trm_choice_answer};
