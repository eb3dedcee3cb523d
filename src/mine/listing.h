/* The negatives of an anchor whose number is known: the last field that a query finds has a slot for each. */
#ifndef TRM_MINE_LISTING_H
#define TRM_MINE_LISTING_H

#include "mine/negatives.h"

enum { TRM_LISTING_SHAPE = 1 };

/* That field. */
#define TRM_LISTING_FIELD                                                                                    \
    {                                                                                                        \
        .name = "negatives", .kind = TRM_FIELD_FOUND, .shape = TRM_LISTING_SHAPE,                            \
        .bytes = sizeof(trm_candidate), .merge = &trm_merge_gather                                           \
    }

/* An anchor's slots. */
static inline trm_candidate *trm_listing_of(const trm_state *state, int64_t row, int64_t *count)
{
    const int field = state->type->fields - 1 - state->type->listed;
    *count = trm_state_count(state, TRM_LISTING_SHAPE, row);
    return (trm_candidate *)state->field[field] + state->offset[TRM_LISTING_SHAPE][row];
}

/* Of a trm_query_type: slots before anything is counted, none of shape 1; sorts what was found by (d, id). */
int64_t trm_listing_slots(const trm_query *query, int shape, trm_there there, int64_t pairs);
void trm_listing_settle(const trm_query *query, trm_state *state, int64_t row, trm_candidate *scratch);

/* Adds candidates to those found before. */
void trm_listing_add(trm_state *state, int64_t row, const trm_candidate *more, int64_t count);

/* Writes list[from..to) as the negatives of a pair, in the order of their ranks. Returns how many. */
int64_t trm_listing_answer(const trm_candidate *list, int64_t from, int64_t to, trm_answer *answer);

#endif
