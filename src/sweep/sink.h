/* What a sweep feeds: a sink keeps, for every anchor, candidates for some questions, and says which distances
 * could still matter to it. The sweep knows no miner; a sink knows no tiles, threads or ranks.
 *
 * State is plain arrays over a block of rows, so that it can travel: with a visiting shard (bounds and the
 * best so far), home again (the best), and through an allreduce. */
#ifndef TRM_SWEEP_SINK_H
#define TRM_SWEEP_SINK_H

#include "base/candidate.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* State of a block of rows. Row i owns slots [offset[i], offset[i + 1]) of bound and of each set of best; a
 * row without slots takes no part as an anchor. */
typedef struct trm_state {
    int64_t rows, slots; /* slots = offset[rows] */
    int sets;
    int64_t *offset;     /* rows + 1 */
    double *bound;       /* slots, ascending in a row: thresholds; NULL for a sink without */
    int32_t *index;      /* slots, the sink's own, made by prepare: a way into bound; does not travel */
    trm_candidate *best; /* set s at best + s * slots */
} trm_state;

/* offset: rows + 1, copied. Errors: MEMORY. best starts as TRM_NO_CANDIDATE. */
trm_status trm_state_create(int64_t rows, const int64_t *offset, int sets, bool bounds, trm_state **state,
                            trm_error *err) TRM_MUST_CHECK;
/* Room for sets questions a slot in a state that has none yet. Errors: MEMORY. */
trm_status trm_state_ask(trm_state *state, int sets, trm_error *err) TRM_MUST_CHECK;
void trm_state_destroy(trm_state **state);

typedef struct trm_sink trm_sink;
struct trm_sink {
    bool same_label; /* pairs of one label (positives), or of two (negatives) */
    bool dense;      /* every pair matters: decide all in float64, no kernel */
    bool has_bounds;
    int sets;
    int64_t list; /* how slots merge: TRM_MERGE_MIN, TRM_MERGE_SUM; K: a row's are one ascending list of K */

    /* Makes row's part of the index from its bounds; NULL for a sink without. Called for every row before a
     * sweep, and for a visiting shard's rows when it comes. */
    void (*prepare)(const trm_sink *sink, trm_state *state, int64_t row);
    /* The distances row still cares about: lo <= d <= hi, or lo > hi for none. May be wider than the truth.
     */
    void (*window)(const trm_sink *sink, const trm_state *state, int64_t row, double *lo, double *hi);
    /* Could a distance known to be in [lo, hi] change row's state? May say yes wrongly, never no. */
    bool (*wants)(const trm_sink *sink, const trm_state *state, int64_t row, double lo, double hi);
    /* Takes n exact distances from row to the rows ids[0..n), whose places in row's class (same_label only)
     * are place, place + 1, ... Whether anything changed. */
    bool (*offer)(const trm_sink *sink, trm_state *state, int64_t row, int64_t n, const double *d,
                  const int64_t *ids, int64_t place);
};

#endif
