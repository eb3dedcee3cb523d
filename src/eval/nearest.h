/* The query of neighbours: an ascending list of the K nearest. */
#ifndef TRM_EVAL_NEAREST_H
#define TRM_EVAL_NEAREST_H

#include "sweep/query.h"
#include "trimine/ask.h"

/* Its settings. */
typedef struct trm_nearest {
    int64_t k;
    trm_among among;
} trm_nearest;

const trm_query_type *trm_nearest_type(trm_among among);
/* A row's list, and how many slots it has; those that are used come first. */
const trm_candidate *trm_nearest_list(const trm_state *state, int64_t row, int64_t *room);
/* The most neighbours that a row can have in a store of so many rows. */
int64_t trm_nearest_most(const trm_nearest *nearest, int64_t rows);

#endif
