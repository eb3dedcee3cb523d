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

/* For negatives drawn once an anchor, whose list is field 0, of shape 0. Of a trm_query_type: */
int64_t trm_draws_slots(const trm_query *query, int shape, int64_t class_size, int64_t pairs);
/* Of a trm_negatives_policy: */
int64_t trm_draws_most(const trm_negatives *negatives);
int64_t trm_draws_answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                         const trm_candidate *pair, int64_t i, trm_answer *answers);

#endif
