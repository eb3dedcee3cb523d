/* Merging across ranks: what an anchor found, sums, names. */
#ifndef TRM_PAR_MERGE_H
#define TRM_PAR_MERGE_H

#include "base/error.h"
#include "base/exact_sum.h"
#include "base/hash_sum.h"
#include "base/merge.h"
#include "base/names.h"

#include <mpi.h>
#include <stdint.h>

/* Every rank ends with the merge of all ranks' slots, in place: MPI_Allreduce under the merge. Row i of rows owns
 * slots [offset[i], offset[i + 1]); slots begins with slot offset[0]. Collective; rows and offset equal on
 * all. */
void trm_merge_slots(MPI_Comm comm, const trm_merge *merge, void *slots, int64_t rows, const int64_t *offset);

/* Sums over all ranks, in place, on all ranks. Collective. */
void trm_merge_exact_sum(MPI_Comm comm, trm_exact_sum *sum);
void trm_merge_hash_sum(MPI_Comm comm, trm_hash_sum *sum);

/* Every rank ends with the names of all ranks, in the order of their bytes. Collective. Errors: MEMORY. */
trm_status trm_merge_names(MPI_Comm comm, trm_names *names, trm_error *err) TRM_MUST_CHECK;

#endif
