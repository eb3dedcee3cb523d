/* Choosing among candidates at hand; see own.h. The state of a query has one row here, the anchor with one pair. */
#include "mine/own.h"

#include "base/alloc.h"
#include "mine/listing.h"

void trm_own_policy(trm_negatives *negatives, const trm_mine_options *options, int64_t candidates, int dim)
{
    trm_negatives_choose(negatives, options, candidates, dim);
}

int64_t trm_own_most(const trm_negatives *negatives, int64_t candidates)
{
    const int64_t most =
        negatives->policy->most != NULL ? negatives->policy->most(negatives) : candidates; /* of a set all */
    return most < candidates ? most : candidates;
}

/* slots_of_list: of a listing, as how many it may have shows later; else negative. */
static trm_status make_state(trm_own *own, const trm_query_type *type, int64_t slots_of_list,
                             trm_state **state, trm_error *err)
{
    const trm_query query = {type, own->negatives};
    const trm_there there = {1, 1, own->candidates > 0 ? own->candidates : 1};
    int64_t slots[TRM_SHAPES][2] = {{0}};
    const int64_t *offset[TRM_SHAPES] = {NULL};
    for (int s = 0; s < type->shapes; s++) {
        slots[s][1] = type->slots(&query, s, there, 1);
        if (s == TRM_LISTING_SHAPE && slots_of_list >= 0)
            slots[s][1] = slots_of_list;
        offset[s] = slots[s];
    }
    trm_status status = trm_state_create(type, 1, &own->anchor, &own->label, offset, state, err);
    return status == TRM_OK ? trm_state_ask(*state, err) : status;
}

trm_status trm_own_begin(trm_own *own, const trm_negatives *negatives, int64_t candidates, trm_error *err)
{
    const trm_negatives_policy *policy = negatives->policy;
    *own = (trm_own){.negatives = negatives,
                     .candidates = candidates,
                     .most = trm_own_most(negatives, candidates),
                     .d = trm_alloc(candidates, sizeof *own->d),
                     .norm2 = trm_alloc(candidates, sizeof *own->norm2),
                     .id = trm_alloc(candidates, sizeof *own->id)};
    own->answer = trm_alloc(own->most, sizeof *own->answer);
    if (own->d == NULL || own->norm2 == NULL || own->id == NULL || own->answer == NULL)
        return trm_fail_memory(err, "candidates", candidates, sizeof *own->answer);
    for (int64_t k = 0; k < candidates; k++)
        own->id[k] = k;
    trm_status status = make_state(own, negatives->query.type, -1, &own->state, err);
    if (status == TRM_OK && policy->listing != NULL)
        status = make_state(own, policy->listing, candidates, &own->listing, err);
    return status;
}

void trm_own_end(trm_own *own)
{
    trm_state_destroy(&own->state);
    trm_state_destroy(&own->listing);
    trm_free(own->d);
    trm_free(own->norm2);
    trm_free(own->id);
    trm_free(own->answer);
    *own = (trm_own){0};
}

/* Shows all candidates to a query. */
static void ask(const trm_own *own, trm_state *state, const trm_candidate *pair)
{
    const trm_query query = {state->type, own->negatives};
    const trm_seen seen = {
        .n = own->candidates, .d = own->d, .id = own->id, .anchor = own->row, .other = {own->x, own->norm2}};
    int64_t tally[TRM_TALLY_WORDS] = {0};
    trm_state_clear(state, false);
    if (state->type->give != NULL)
        state->type->give(&query, state, 0, pair, 1);
    if (state->type->prepare != NULL)
        state->type->prepare(&query, state, 0);
    state->type->offer(&query, state, 0, &seen, tally);
    if (state->type->settle != NULL)
        state->type->settle(&query, state, 0, NULL);
}

int64_t trm_own_choose(trm_own *own, int64_t anchor, trm_row row, double d_ap, const float *x)
{
    const trm_negatives *negatives = own->negatives;
    const trm_negatives_policy *policy = negatives->policy;
    const trm_candidate pair = {d_ap, anchor};
    trm_state *state = own->state;
    own->anchor = anchor;
    own->row = row;
    own->x = x;
    ask(own, state, &pair);
    if (policy->size != NULL) {
        const int64_t size = policy->size(negatives, state, 0, &pair, 1, own->candidates).negatives;
        if (size == 0)
            return 0;
        state = own->listing;
        state->offset[state->type->shapes - 1][1] = size;
        ask(own, state, &pair);
    }
    return policy->answer(negatives, state, 0, &pair, 0, own->answer);
}
