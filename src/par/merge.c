/* The MPI operations on candidates. Lists travel as one derived type a list, whose size tells the
 * operation how long a list is: an MPI operation gets no other context. */
#include "par/merge.h"

static void operation_min(void *from, void *into, int *count, MPI_Datatype *type)
{
    (void)type;
    trm_candidates_merge_min(into, from, *count);
}

static void operation_lists(void *from, void *into, int *count, MPI_Datatype *type)
{
    int bytes = 0;
    MPI_Type_size(*type, &bytes);
    int64_t length = bytes / (int)sizeof(trm_candidate);
    trm_candidates_merge_lists(into, from, *count * length, length);
}

static void operation_sums(void *from, void *into, int *count, MPI_Datatype *type)
{
    (void)type;
    trm_candidates_merge_sums(into, from, *count);
}

void trm_merge_candidates(MPI_Comm comm, trm_candidate *candidates, int64_t count, int64_t length)
{
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    if (ranks == 1 || count == 0)
        return;
    int64_t unit = length > 0 ? length : 1;
    MPI_Datatype type;
    MPI_Type_contiguous((int)(unit * (int64_t)sizeof *candidates), MPI_BYTE, &type);
    MPI_Type_commit(&type);
    MPI_Op operation;
    MPI_Op_create(length > 0                ? operation_lists
                  : length == TRM_MERGE_SUM ? operation_sums
                                            : operation_min,
                  1, &operation);
    const int64_t piece = (INT64_C(1) << 26) / unit > 0 ? (INT64_C(1) << 26) / unit : 1;
    for (int64_t done = 0; done < count / unit; done += piece) {
        int64_t left = count / unit - done;
        MPI_Allreduce(MPI_IN_PLACE, candidates + done * unit, (int)(left < piece ? left : piece), type,
                      operation, comm);
    }
    MPI_Op_free(&operation);
    MPI_Type_free(&type);
}

void trm_merge_exact_sum(MPI_Comm comm, trm_exact_sum *sum)
{
    trm_exact_sum_carry(sum);
    MPI_Allreduce(MPI_IN_PLACE, sum->limb, TRM_EXACT_SUM_LIMBS, MPI_INT64_T, MPI_SUM, comm);
    trm_exact_sum_carry(sum);
}

void trm_merge_hash_sum(MPI_Comm comm, trm_hash_sum *sum)
{
    MPI_Allreduce(MPI_IN_PLACE, sum->digit, 4, MPI_UINT64_T, MPI_SUM, comm);
}
