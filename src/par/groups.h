/* Connected groups: rows that pairs join, directly or over others, wherever each pair was found.
 *
 * Every rank joins its own pairs as they come, in memory for the rows among them alone; no rank ever has all pairs. In the end
 * the ranks put together what each of them joined, in rounds (groups.c says why they end, and are exact). */
#ifndef TRM_PAR_GROUPS_H
#define TRM_PAR_GROUPS_H

#include "base/error.h"

#include <mpi.h>
#include <stdint.h>

typedef struct trm_groups trm_groups;

/* Of row ids [0, rows). Collective; comm is borrowed until destroy. The caller owns *groups; NULL after a failure. Errors:
 * MEMORY. */
trm_status trm_groups_create(MPI_Comm comm, int64_t rows, trm_groups **groups, trm_error *err) TRM_MUST_CHECK;
/* Joins two rows. Not collective. Errors: MEMORY. */
trm_status trm_groups_join(trm_groups *groups, int64_t a, int64_t b, trm_error *err) TRM_MUST_CHECK;
/* group[i]: the lowest row id of the group that row first + i is in, for this rank's trm_share of the row ids; a row alone is its
 * own. Once; nothing can be joined any more. *rounds: how many it took, equal on all ranks, but for another number of ranks
 * another. Collective. Errors: MEMORY. */
trm_status trm_groups_settle(trm_groups *groups, int64_t *group, int *rounds, trm_error *err) TRM_MUST_CHECK;
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_groups_destroy(trm_groups **groups);

/* Bytes that it takes on a rank at most, where each joins no more than so many different rows. Not collective. */
int64_t trm_groups_bytes(int64_t rows, int ranks, int64_t joined);

#endif
