/* The rows that there are for an anchor: those that it may be paired with, and its negatives. Of one set both go by label.
 * Of two, anchors are queries and the others rows of a store: by label, or by a list of pairs, where all that is not
 * listed is a negative. */
#ifndef TRM_MINE_POOL_H
#define TRM_MINE_POOL_H

#include "par/keyed.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/query.h"

typedef struct trm_pool {
    const trm_run *run;
    const trm_rows *anchors, *store; /* borrowed; the same: one set */
    trm_relation relation;           /* of an anchor to its negatives */
    int64_t *same_label; /* two sets: rows of the store with the label of each anchor; NULL: not asked */
    int64_t *start,
        *id; /* a list: anchor i has id[start[i]..start[i + 1]), ascending, each once; NULL: by label */
    int64_t
        *listed_same_label; /* of a list, with labels: how many of them have the anchor's label; else NULL */
    int64_t repeats;        /* pairs of the whole list that were in it already */
    int64_t received;       /* pairs of it that came to this rank, with repeats */
} trm_pool;

/* By options->queries, pairs and and_labels. run and rows are borrowed until trm_pool_free, which ends the pool whatever
 * came of it. Rows need labels and their places only. Collective. Errors: USAGE (sets that don't go together), DATA (a
 * pair out of range: the first one is named), MEMORY. */
trm_status trm_pool_create(trm_pool *pool, const trm_run *run, const trm_rows *rows,
                           const trm_mine_options *options, trm_error *err) TRM_MUST_CHECK;
void trm_pool_free(trm_pool *pool);
/* Of one set: nothing to free. */
trm_pool trm_pool_of_one(const trm_run *run, const trm_rows *rows);

static inline bool trm_pool_is_one_set(const trm_pool *pool)
{
    return pool->anchors == pool->store;
}

static inline bool trm_pool_is_listed(const trm_pool *pool)
{
    return pool->start != NULL;
}

/* What there is for an anchor of the shard. */
trm_there trm_pool_there(const trm_pool *pool, int64_t row);
/* Fills in summary->anchors, classes and repeated_pairs. Collective. */
void trm_pool_count_anchors(const trm_pool *pool, trm_mine_summary *summary);
/* The most positives of any anchor, of all ranks. Collective. */
int64_t trm_pool_most_positives(const trm_pool *pool);
/* Bytes on this rank; and beside these, of a list only: what measuring needs for a while. Making the
 * pool takes the last, and the list as it was given. */
int64_t trm_pool_bytes(const trm_pool *pool);
int64_t trm_pool_measuring_bytes(const trm_pool *pool);
int64_t trm_pool_making_bytes(const trm_pool *pool);

/* The labels of rows [from, to) of a shard, each once, ascending, with how many of these rows have it (sum[0]); new memory, or
 * NULL. Not collective. */
trm_keyed *trm_pool_labels_of(const trm_rows *rows, int64_t from, int64_t to, int64_t *count);

/* Offers each anchor that has slots in the state its listed rows, once the rows are here; then every member of a team has
 * the same state. Collective. Errors: MEMORY. */
trm_status trm_pool_measure(const trm_pool *pool, trm_metric metric, const trm_query *query, trm_state *state,
                            trm_error *err) TRM_MUST_CHECK;

#endif
