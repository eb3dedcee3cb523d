/* The rows of a store in memory: arranged by (label, row id) over the teams.
 *
 * A label is then one contiguous run: a positive pair is near the diagonal, a tile whose label ranges are
 * disjoint needs no label test, and a class is a slice. p ranks form T = p / c teams of c; team t's shard is
 * a contiguous part of the arrangement, held whole by each of its members. */
#ifndef TRM_ROWS_ROWS_H
#define TRM_ROWS_ROWS_H

#include "trimine/mine.h"

#include <stdbool.h>

/* One team's part of the arrangement; every rank knows all teams'. */
typedef struct trm_shard {
    int64_t first, count;            /* arranged places */
    int64_t label_first, label_last; /* labels of the ends; meaningless where count is 0 */
} trm_shard;

struct trm_rows {
    int dim;
    int64_t store_rows; /* as given, with the ignored ones */
    int64_t total;      /* rows that take part */
    bool ignores;       /* rows with ignore_label don't */
    int64_t ignore_label;
    int64_t classes; /* among those */
    double arrange_s;
    int64_t given;    /* rows that this rank gave */
    int64_t zero_row; /* the lowest row id of norm 0 that takes part; INT64_MAX: none */

    int replicate, teams, team, member;
    MPI_Comm team_comm; /* the ranks of this team, by member */
    trm_shard *shards;  /* one a team */

    int64_t first, count;  /* this team's shard */
    int64_t arrange_bytes; /* as the plan had it for this rank */
    float *x;              /* count x dim */
    int64_t *label, *id;   /* count; ids are row ids of the store */
    double *norm2;         /* count: canonical dot of the row with itself */
    int64_t *class_first;  /* count: arranged place of the row's class's first row */
    int64_t *class_size;   /* count */
};

/* As trm_rows_create, but *embeddings, which trm_alloc gave, is freed as soon as it is copied, and set to
 * NULL, also after a failure: one copy of the rows less at once. Collective. */
trm_status trm_rows_take(trm_run *run, int64_t count, int dim, float **embeddings, const int64_t *labels,
                         const int64_t *ignore_label, trm_rows **result, trm_error *err) TRM_MUST_CHECK;

/* Refuses a row of norm 0 under cosine. The same answer on all ranks. Not collective. Errors: DATA. */
trm_status trm_rows_check_metric(const trm_rows *rows, trm_metric metric, trm_error *err) TRM_MUST_CHECK;

/* Bytes a row takes here, for the memory plan. */
int64_t trm_rows_bytes_per_row(int dim);

#endif
