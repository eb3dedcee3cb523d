/* The anchors of a job: who is one, its pairs by the positives policy, and its thresholds; in panels of
 * anchors where the state of all at once would not fit the memory limit. */
#ifndef TRM_MINE_ANCHORS_H
#define TRM_MINE_ANCHORS_H

#include "mine/negatives.h"
#include "mine/pool.h"
#include "mine/positives.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/sweep.h"

struct trm_near;

/* A job that is no mining: every row asks the query, whatever it has for positives and negatives. */
typedef struct trm_solo {
    bool positives;       /* they are found first, by options->positives, and given to the query; rows without
                           * any ask nothing */
    const int64_t *slots; /* of shape 0, of each row of the shard; borrowed. NULL: as the query says */
} trm_solo;

typedef struct trm_anchors {
    const trm_run *run;
    const trm_pool *pool; /* borrowed */
    const trm_rows *rows; /* the pool's anchors */
    const trm_mine_options *options;
    trm_positives positives;
    const trm_query *negatives; /* what the second sweep asks; borrowed */
    int64_t each;               /* the most triplets that come of a pair */
    const trm_set_size *size; /* of each row of the shard, where a set has been counted; borrowed; or NULL */
    const struct trm_near *near; /* where negatives are asked that are near no positive; borrowed; or NULL */
    const trm_solo *solo;        /* of a job that is no mining; borrowed; or NULL */
    int64_t longest;             /* the most pairs that any anchor could have */
    bool keep;                   /* positives are wanted after the thresholds are known */
    int64_t panels;
    int64_t *panel_of;    /* of each row of the shard; TRM_PANEL_FINISHED: of an earlier run's */
    int64_t memory_bytes; /* what the plan says a rank needs */
    int64_t panel_bytes;  /* of these, the largest panel's */
    /* while positives of a list are measured: bytes that takes, and of what a sweep needs those that are not in use before it */
    int64_t measuring, packed_later;
    trm_sweep_counts counts;
    double seconds; /* of the positives sweeps and what belongs to them; the caller's to add */
} trm_anchors;

enum { TRM_PANEL_FINISHED = -1 };

/* Arranged places [from, to). */
typedef struct trm_places {
    int64_t from, to;
} trm_places;

/* The state of one panel. */
typedef struct trm_panel {
    int64_t *row, count;  /* its rows of this team's shard, ascending */
    trm_state *positives; /* each anchor's pairs first, by ascending (d, id); NULL unless kept */
    trm_state *negatives; /* what is given, such as thresholds; nothing found yet */
} trm_panel;

/* Plans the memory. options have been checked, and are borrowed, as are pool, negatives, size and near. each: the most
 * triplets that come of a pair. size: NULL, or what each row of the shard gets of a set, all of whose pairs'
 * negatives are in slots of TRM_LISTING_SHAPE. near: NULL, or what is near a positive, which is given to the query's
 * last field, but for a list of pairs. *anchors must stay where it is.
 * Collective. Errors: MEMORY, with the smallest limit that would do. */
trm_status trm_anchors_init(trm_anchors *anchors, const trm_run *run, const trm_pool *pool,
                            const trm_mine_options *options, const trm_query *negatives, int64_t each,
                            const trm_set_size *size, const struct trm_near *near, bool keep,
                            trm_error *err) TRM_MUST_CHECK;
/* The same for a job that is no mining; nothing of positives is kept. options: metric, positives, queries, reserve. */
trm_status trm_anchors_init_solo(trm_anchors *anchors, const trm_run *run, const trm_pool *pool,
                                 const trm_mine_options *options, const trm_query *query,
                                 const trm_solo *solo, trm_error *err) TRM_MUST_CHECK;
void trm_anchors_destroy(trm_anchors *anchors);
/* The bytes that the plan would come to with no more than that many panels. Collective. */
int64_t trm_anchors_bytes(trm_anchors *anchors, int64_t panels);
/* Bytes of the state of the largest shard's panel: of what comes with a visitor, and of what goes home. Not collective. */
void trm_anchors_travel(const trm_anchors *anchors, int64_t *visit, int64_t *home);
/* Plans again for a job that goes on: rows that are finished, and those that were being worked on, which are
 * panel 0 now. Equal on all ranks. Collective. Errors: MEMORY. */
trm_status trm_anchors_resume(trm_anchors *anchors, int64_t finished, const trm_places *finished_places,
                              int64_t begun, const trm_places *begun_places, trm_error *err) TRM_MUST_CHECK;

/* At least one positive and one negative. */
static inline bool trm_anchors_valid(trm_there there)
{
    return there.positives > 0 && there.negatives > 0;
}
/* Pairs that row ends up with; 0 for one that is no anchor. */
int64_t trm_anchors_pairs(const trm_anchors *anchors, int64_t row);
/* Slots of a shape of the second query that row needs while that is asked. */
int64_t trm_anchors_slots(const trm_anchors *anchors, int64_t row, int shape);
/* The most triplets that row ends up with. */
int64_t trm_anchors_triplets(const trm_anchors *anchors, int64_t row);

/* Runs a sweep over the pool in which the anchors ask. Arguments and errors as of trm_sweep_run. Collective. */
trm_status trm_anchors_sweep(const trm_anchors *anchors, trm_sweep *sweep, const char *phase, trm_asked asked,
                             trm_sweep_counts *counts, trm_error *err) TRM_MUST_CHECK;
/* A sweep over the pool, of which the smaller set travels. Collective. */
trm_status trm_pool_sweep_create(const trm_pool *pool, trm_metric metric, trm_sweep **sweep,
                                 trm_error *err) TRM_MUST_CHECK;

/* Is there a positives sweep, or a measuring of positives? */
static inline bool trm_anchors_find_positives(const trm_anchors *anchors)
{
    return anchors->solo == NULL || anchors->solo->positives;
}

/* Opens panel index: a state for the positives sweep, where there is one. Collective. The caller closes the panel, also after a
 * failure. Errors: MEMORY. */
trm_status trm_panel_begin(const trm_anchors *anchors, int64_t index, trm_panel *panel,
                           trm_error *err) TRM_MUST_CHECK;
/* After the positives sweep: settles what was found, unless it was taken as settled, and makes the state for the
 * negatives sweep, to which it gives the pairs. Without positives what is given is zero, for the caller to fill in.
 * Collective. Errors: MEMORY. */
trm_status trm_panel_settle(const trm_anchors *anchors, trm_panel *panel, bool settled,
                            trm_error *err) TRM_MUST_CHECK;
/* A panel of some rows of another that is settled, ascending: its negatives' state has what these were given there, and nothing
 * found. It takes the list of rows, also after a failure. Collective. The caller closes it. Errors: MEMORY. */
trm_status trm_panel_pick(const trm_anchors *anchors, const trm_panel *panel, int64_t *row, int64_t count,
                          trm_panel *part, trm_error *err) TRM_MUST_CHECK;
/* Takes what was found for the rows of the part. */
void trm_panel_put_back(trm_panel *panel, const trm_panel *part);
/* A row's positives, trm_anchors_pairs of them by ascending (d, id), once they are settled and if they are kept. */
trm_candidate *trm_panel_pairs(const trm_panel *panel, int64_t row);
void trm_panel_close(trm_panel *panel);

/* The part [*first, *last) of the panel's list of rows that is this member's to answer for. */
void trm_panel_share(const trm_anchors *anchors, const trm_panel *panel, int64_t *first, int64_t *last);

#endif
