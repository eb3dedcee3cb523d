/* Merging across ranks; see merge.h. */
#include "par/merge.h"

#include "par/agree.h"

/* The merge that is under way. MPI gives an operation no other context; the main thread alone is here, and the
 * operation runs inside its call. */
static struct {
    const trm_merge *merge;
    int64_t rows;
    const int64_t *offset;
} under_way;

static void operation(void *from, void *into, int *count, MPI_Datatype *type)
{
    (void)count; /* one: all slots of these rows are one element, which MPI can't cut */
    (void)type;
    under_way.merge->merge(into, from, under_way.rows, under_way.offset);
}

void trm_merge_slots(MPI_Comm comm, const trm_merge *merge, void *slots, int64_t rows, const int64_t *offset)
{
    /* slots at once, where rows allow it: MPI takes as much memory again */
    const int64_t most = (INT64_C(1) << 22) / (int64_t)merge->bytes;
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    if (ranks == 1)
        return;
    MPI_Op op;
    MPI_Op_create(operation, 1, &op);
    for (int64_t first = 0, last; first < rows; first = last) {
        for (last = first + 1; last < rows && offset[last + 1] - offset[first] <= most; last++)
            continue;
        const int64_t count = offset[last] - offset[first];
        if (count == 0)
            continue;
        MPI_Datatype type;
        MPI_Type_contiguous((int)count, MPI_INT64_T, &type); /* a slot is words of 8 bytes */
        MPI_Datatype all;
        MPI_Type_contiguous((int)merge->bytes / 8, type, &all);
        MPI_Type_commit(&all);
        under_way.merge = merge;
        under_way.rows = last - first;
        under_way.offset = offset + first;
        MPI_Allreduce(MPI_IN_PLACE, (char *)slots + (offset[first] - offset[0]) * (int64_t)merge->bytes, 1,
                      all, op, comm);
        MPI_Type_free(&all);
        MPI_Type_free(&type);
    }
    MPI_Op_free(&op);
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
