/* The MPI operations on candidates. Lists travel as one derived type a list, whose size tells the
 * operation how long a list is: an MPI operation gets no other context. */
#include "par/merge.h"

#include "par/agree.h"

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

enum { NAMES_TAG = 7101 };

/* Count of names, and bytes. */
static void measure(const trm_names *names, int64_t size[2])
{
    size[0] = names->count;
    size[1] = names->count > 0 ? names->start[names->count] : 0;
}

/* Blocking and in pieces: nothing to allocate, so nothing that could fail on one side alone. */
enum { SEND, RECEIVE, SHARE };
static const int64_t most_bytes = INT64_C(1) << 30;

static void move(MPI_Comm comm, int how, int other, void *data, int64_t bytes)
{
    for (int64_t done = 0; done < bytes; done += most_bytes) {
        char *at = (char *)data + done;
        const int now = (int)(bytes - done < most_bytes ? bytes - done : most_bytes);
        if (how == SEND)
            MPI_Send(at, now, MPI_BYTE, other, NAMES_TAG, comm);
        else if (how == RECEIVE)
            MPI_Recv(at, now, MPI_BYTE, other, NAMES_TAG, comm, MPI_STATUS_IGNORE);
        else
            MPI_Bcast(at, now, MPI_BYTE, other, comm);
    }
}

static void move_names(MPI_Comm comm, int how, int other, trm_names *names, const int64_t size[2])
{
    move(comm, how, other, names->start, (size[0] + 1) * (int64_t)sizeof *names->start);
    move(comm, how, other, names->bytes, size[1]);
    names->count = size[0];
}

static trm_status add_all(trm_names *names, const trm_names *more, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < more->count && status == TRM_OK; i++) {
        int64_t length = 0;
        const char *name = trm_names_get(more, i, &length);
        status = trm_names_add(names, name, length, err);
    }
    return status;
}

/* Gives the names to another rank, which says first whether it has the memory. */
static void give_names(MPI_Comm comm, int to, trm_names *names)
{
    int64_t size[2];
    int ready = 0;
    measure(names, size);
    MPI_Send(size, 2, MPI_INT64_T, to, NAMES_TAG, comm);
    MPI_Recv(&ready, 1, MPI_INT, to, NAMES_TAG, comm, MPI_STATUS_IGNORE);
    if (ready)
        move_names(comm, SEND, to, names, size);
}

static trm_status take_names(MPI_Comm comm, int from, trm_names *names, trm_error *err)
{
    trm_names more = TRM_NAMES_INIT;
    int64_t size[2];
    MPI_Recv(size, 2, MPI_INT64_T, from, NAMES_TAG, comm, MPI_STATUS_IGNORE);
    trm_status status = trm_names_reserve(&more, size[0], size[1], err);
    const int ready = status == TRM_OK && size[0] > 0;
    MPI_Send(&ready, 1, MPI_INT, from, NAMES_TAG, comm);
    if (ready) {
        move_names(comm, RECEIVE, from, &more, size);
        status = add_all(names, &more, err);
    }
    trm_names_free(&more);
    return status;
}

/* From rank 0 to all. */
static trm_status share_names(MPI_Comm comm, int rank, trm_names *names, trm_error *err)
{
    int64_t size[2];
    measure(names, size);
    MPI_Bcast(size, 2, MPI_INT64_T, 0, comm);
    trm_status status = TRM_OK;
    if (rank != 0) {
        trm_names_free(names);
        status = trm_names_reserve(names, size[0], size[1], err);
    }
    status = trm_agree(comm, status, err);
    if (status != TRM_OK || size[0] == 0)
        return status;
    move_names(comm, SHARE, 0, names, size);
    return trm_agree(comm, rank != 0 ? trm_names_index(names, err) : TRM_OK, err);
}

/* In a tree: in each round half of the ranks that are left give what they have to the other half. */
trm_status trm_merge_names(MPI_Comm comm, trm_names *names, trm_error *err)
{
    int rank = 0, ranks = 0;
    trm_status status = TRM_OK;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    for (int step = 1; step < ranks && rank % step == 0; step *= 2) {
        trm_status now = TRM_OK;
        if (rank % (2 * step) != 0)
            give_names(comm, rank - step, names);
        else if (rank + step < ranks)
            now = take_names(comm, rank + step, names, err);
        status = status == TRM_OK ? now : status;
    }
    if (status == TRM_OK && rank == 0)
        status = trm_names_sort(names, err);
    status = trm_agree(comm, status, err);
    return status == TRM_OK ? share_names(comm, rank, names, err) : status;
}
