/* What is near a positive: for every row that may be one, the rows within a radius that may be negatives of its anchors, which
 * --not-near-positive takes from the negatives of each anchor that selects it. Both are rows of the store: of one set or two,
 * by label, the rows of other labels; by a list of pairs, all others, of which an anchor is given its negatives only.
 *
 * They are found once, before anything else, by one sweep or two, and stay for the whole job. Who asks is another
 * matter: an anchor, wherever it is, names its positives by row id and gets all rows that are near any of them. */
#ifndef TRM_MINE_NEAR_H
#define TRM_MINE_NEAR_H

#include "mine/pool.h"
#include "rows/run.h"
#include "sweep/sweep.h"

typedef struct trm_near trm_near;

/* What to find. */
typedef struct trm_near_task {
    const trm_run *run;
    const trm_pool *pool; /* borrowed until trm_near_destroy */
    trm_sweep *sweep;     /* of its store with itself */
    double radius;
    int64_t reserve; /* bytes that the caller holds meanwhile */
    int64_t
        nearest; /* of one set by label: so many of each anchor's nearest negatives are to be found on the way, if they
                        fit the memory; 0: none */
} trm_near_task;

/* Collective. counts are added to. The caller owns *near; NULL after a failure. Errors: MEMORY, also where the memory
 * limit is too low; STOPPED. */
trm_status trm_near_find(const trm_near_task *task, trm_sweep_counts *counts, trm_near **near,
                         trm_error *err) TRM_MUST_CHECK;
void trm_near_destroy(trm_near **near);

/* Were the nearest negatives found on the way? The same on all ranks. */
bool trm_near_looked(const trm_near *near);
/* Then those of a row, ascending: as many as were asked for, or all that there are; of a row without a positive or a
 * negative none. */
const trm_candidate *trm_near_nearest(const trm_near *near, int64_t row, int64_t *count);
/* Gives their memory up; trm_near_looked is false from then on. */
void trm_near_forget_nearest(trm_near *near);

/* The most negatives of an anchor of this team's shard that are near any of so many of its positives. */
int64_t trm_near_most(const trm_near *near, int64_t row, int64_t pairs);

/* Anchors with their positives, and room for what is near these. */
typedef struct trm_near_asker {
    int64_t anchors, longest;                                  /* longest: the most positives of any */
    int64_t (*row)(const void *context, int64_t anchor);       /* its row of this team's shard */
    int64_t (*positives)(const void *context, int64_t anchor); /* how many the anchor has */
    int64_t (*positive)(const void *context, int64_t anchor, int64_t i); /* a row id; negative: none */
    int64_t *(*slots)(const void *context, int64_t anchor, int64_t *room);
    const void *context;
} trm_near_asker;

/* Fills in each anchor's slots: the row ids near any of its positives, ascending, then INT64_MAX. Collective. Errors:
 * MEMORY. */
trm_status trm_near_give(const trm_near *near, const trm_near_asker *asker, trm_error *err) TRM_MUST_CHECK;

/* The most bytes that finding took on any rank, with the sweep and the caller's. */
int64_t trm_near_peak_bytes(const trm_near *near);
/* Bytes on this rank, for the memory plan: what is kept, and, beside it, what giving needs where anchors have at most so
 * many positives. Not collective. */
int64_t trm_near_bytes(const trm_near *near);
int64_t trm_near_give_bytes(const trm_near *near, int64_t longest);

#endif
