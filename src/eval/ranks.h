/* The query of ranks: where each of an anchor's relevant rows stands among all rows by (distance, row id).
 *
 * The relevant rows are its pairs. Among each other they are in order as they are given, so all that is asked is how many of
 * the irrelevant rows come before each: these are counted between the pairs' distances, and no list of neighbours is kept. */
#ifndef TRM_EVAL_RANKS_H
#define TRM_EVAL_RANKS_H

#include "sweep/query.h"
#include "trimine/eval.h"

/* Its settings. Ranks beyond the limit decide nothing, and are not asked for; but for the first relevant row's, which always
 * is. */
typedef struct trm_ranks {
    int64_t limit; /* at least 1; INT64_MAX: all ranks */
    bool to_pairs; /* the limit is no less than the pairs of the anchor */
} trm_ranks;

/* Irrelevant rows are those of another label; or, of a list of pairs, those that are not listed. */
extern const trm_query_type trm_ranks_by_label, trm_ranks_by_list;

/* The relevant rows of row by ascending rank, from the first to the last whose `high` is within the limit; how many. ranked
 * has room for all its pairs. */
int64_t trm_ranks_of(const trm_ranks *ranks, const trm_state *state, int64_t row, trm_eval_rank *ranked);

#endif
