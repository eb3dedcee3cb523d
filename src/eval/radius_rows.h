/* What is known of each row by its id: how many pairs it is in, where its pairs are among all, its group. The ranks share out the
 * row ids (trm_share). */
#ifndef TRM_EVAL_RADIUS_ROWS_H
#define TRM_EVAL_RADIUS_ROWS_H

#include "base/error.h"
#include "rows/rows.h"
#include "trimine/radius.h"

#include <mpi.h>

typedef struct trm_ids {
    MPI_Comm comm; /* borrowed */
    int rank, ranks;
    int64_t first, count; /* this rank's share */
    int64_t *near;        /* pairs of each, -1: it was ignored; owned, as group */
    int64_t *group;       /* or NULL */
} trm_ids;

/* own[i], others[i]: the pairs of row i of this team's shard that it lists, and that others list. place[i] becomes the place of the
 * first that it lists among all pairs by (row id, other row id). Collective. The caller frees *ids (trm_ids_free), also after a
 * failure. Errors: MEMORY. */
trm_status trm_ids_create(MPI_Comm comm, const trm_rows *rows, const int64_t *own, const int64_t *others,
                          int64_t *place, trm_ids *ids, trm_error *err) TRM_MUST_CHECK;
void trm_ids_free(trm_ids *ids);
/* Bytes that both take on a rank, here also while it is made. Not collective. */
int64_t trm_ids_bytes(const trm_rows *rows, int ranks);

/* Fills in isolated and most. Collective. */
void trm_ids_count(const trm_ids *ids, trm_radius_summary *summary);
/* Takes the groups (of trm_alloc), which are -1 of rows that were ignored, and fills in groups but for the rounds. Collective.
 * Errors: MEMORY. */
trm_status trm_ids_take_groups(trm_ids *ids, int64_t *group, trm_radius_summary *summary,
                               trm_error *err) TRM_MUST_CHECK;

#endif
