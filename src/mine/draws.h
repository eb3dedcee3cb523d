/* Rows drawn at random: what the policies that draw have in common.
 *
 * The key of row n for anchor a depends on the seed and both row ids alone, and the smallest (key, id) are
 * drawn. So a draw is a minimum like everything else that a query keeps: the same on any ranks and threads.
 * All pairs of an anchor go by the same keys. */
#ifndef TRM_MINE_DRAWS_H
#define TRM_MINE_DRAWS_H

#include "base/draw.h"
#include "base/random.h"
#include "mine/negatives.h"

static inline double trm_draws_uniform(uint64_t seed, int64_t anchor, int64_t row)
{
    return trm_random_uniform(seed, (uint64_t)anchor, (uint64_t)row);
}

/* The slots of row in a field of draws. */
static inline trm_draw *trm_draws_of(const trm_state *state, int field, int64_t row, int64_t *count)
{
    const int shape = state->type->field[field].shape;
    *count = trm_state_count(state, shape, row);
    return (trm_draw *)state->field[field] + trm_state_first(state, shape, row);
}

/* A query for K negatives an anchor of all there are, by the key of its policy: one ascending list of draws. */
extern const trm_query_type trm_draws_query;
/* Of a trm_negatives_policy with that query: hands on to choice.c where there are ranks or filters; K. */
void trm_draws_begin(trm_negatives *negatives);
int64_t trm_draws_most(const trm_negatives *negatives);

#endif
