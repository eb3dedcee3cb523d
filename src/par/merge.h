/* Merging candidates across ranks: MPI_Allreduce under minimum-(key, id). */
#ifndef TRM_PAR_MERGE_H
#define TRM_PAR_MERGE_H

#include "base/candidate.h"
#include "base/error.h"
#include "base/exact_sum.h"
#include "base/hash_sum.h"
#include "base/names.h"

#include <mpi.h>
#include <stdint.h>

/* Every rank ends with the merge of all ranks' candidates, in place. length: TRM_MERGE_MIN or TRM_MERGE_SUM,
 * one by one; > 0: count is a multiple of length and each run of length is an ascending list. Collective;
 * count and length equal on all. */
void trm_merge_candidates(MPI_Comm comm, trm_candidate *candidates, int64_t count, int64_t length);

/* Sums over all ranks, in place, on all ranks. Collective. */
void trm_merge_exact_sum(MPI_Comm comm, trm_exact_sum *sum);
void trm_merge_hash_sum(MPI_Comm comm, trm_hash_sum *sum);

/* Every rank ends with the names of all ranks, in the order of their bytes. Collective. Errors: MEMORY. */
trm_status trm_merge_names(MPI_Comm comm, trm_names *names, trm_error *err) TRM_MUST_CHECK;

#endif
