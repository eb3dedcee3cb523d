/* Large transfers, as non-blocking pieces whose size fits MPI's int. */
#include "par/exchange.h"

#include "base/alloc.h"
#include "par/agree.h"

#include <string.h>

enum { EXCHANGE_TAG = 7001 };
static const int64_t piece_bytes = INT64_C(1) << 30;

void trm_share(int64_t n, int rank, int size, int64_t *first, int64_t *last)
{
    const int64_t whole = n / size, rest = n % size; /* so that n * rank can't overflow */
    *first = whole * rank + rest * rank / size;
    *last = whole * (rank + 1) + rest * (rank + 1) / size;
}

static int home_of_item(const char *item, int ranks)
{
    int64_t key;
    memcpy(&key, item, sizeof key);
    return trm_home_of(ranks, key);
}

trm_status trm_exchange_by_key(MPI_Comm comm, const void *items, int64_t count, size_t size, int64_t *sent,
                               int64_t *receive_counts, void **received, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    const char *item = items;
    char *ordered = trm_alloc(count, size);
    trm_status status = ordered == NULL ? trm_fail_memory(err, "what is sent", count, size) : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(ordered);
        return status;
    }
    memset(sent, 0, (size_t)ranks * sizeof *sent);
    for (int64_t i = 0; i < count; i++)
        sent[home_of_item(item + (size_t)i * size, ranks)]++;
    int64_t *place = receive_counts; /* until it is known what comes: where those of each rank go */
    place[0] = 0;
    for (int r = 1; r < ranks; r++)
        place[r] = place[r - 1] + sent[r - 1];
    for (int64_t i = 0; i < count; i++) {
        const char *from = item + (size_t)i * size;
        memcpy(ordered + (size_t)place[home_of_item(from, ranks)]++ * size, from, size);
    }
    status = trm_exchange_items(comm, ordered, sent, size, received, receive_counts, err);
    trm_free(ordered);
    return status;
}

int64_t trm_sum_int64(MPI_Comm comm, int64_t value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_SUM, comm);
    return value;
}

int64_t trm_prefix_int64(MPI_Comm comm, int64_t value)
{
    int64_t prefix = 0;
    int rank = 0;
    MPI_Exscan(&value, &prefix, 1, MPI_INT64_T, MPI_SUM, comm);
    MPI_Comm_rank(comm, &rank);
    return rank == 0 ? 0 : prefix;
}

static trm_status begin(trm_transfer *transfer, int64_t bytes, trm_error *err)
{
    transfer->count = (int)((bytes + piece_bytes - 1) / piece_bytes);
    transfer->requests = trm_alloc(transfer->count, sizeof *transfer->requests);
    if (transfer->requests == NULL) {
        transfer->count = 0;
        return trm_fail_memory(err, "message requests", transfer->count, sizeof *transfer->requests);
    }
    return TRM_OK;
}

static int piece_size(int64_t bytes, int piece)
{
    int64_t left = bytes - piece * piece_bytes;
    return (int)(left < piece_bytes ? left : piece_bytes);
}

static void post_send(MPI_Comm comm, const void *data, int64_t bytes, int to, int tag, trm_transfer *transfer)
{
    for (int i = 0; i < transfer->count; i++)
        MPI_Isend((const char *)data + i * piece_bytes, piece_size(bytes, i), MPI_BYTE, to, tag, comm,
                  &transfer->requests[i]);
}

static void post_receive(MPI_Comm comm, void *data, int64_t bytes, int from, int tag, trm_transfer *transfer)
{
    for (int i = 0; i < transfer->count; i++)
        MPI_Irecv((char *)data + i * piece_bytes, piece_size(bytes, i), MPI_BYTE, from, tag, comm,
                  &transfer->requests[i]);
}

trm_status trm_transfer_send(MPI_Comm comm, const void *data, int64_t bytes, int to, int tag,
                             trm_transfer *transfer, trm_error *err)
{
    trm_status status = begin(transfer, bytes, err);
    post_send(comm, data, bytes, to, tag, transfer);
    return status;
}

trm_status trm_transfer_receive(MPI_Comm comm, void *data, int64_t bytes, int from, int tag,
                                trm_transfer *transfer, trm_error *err)
{
    trm_status status = begin(transfer, bytes, err);
    post_receive(comm, data, bytes, from, tag, transfer);
    return status;
}

void trm_transfer_wait(trm_transfer *transfer)
{
    /* One by one: gcc takes the MPI_STATUSES_IGNORE of MPICH for an array that is too short. */
    for (int i = 0; i < transfer->count; i++)
        MPI_Wait(&transfer->requests[i], MPI_STATUS_IGNORE);
    trm_free(transfer->requests);
    transfer->requests = NULL;
    transfer->count = 0;
}

trm_status trm_exchange_items(MPI_Comm comm, const void *send, const int64_t *send_counts, size_t size,
                              void **received, int64_t *receive_counts, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(comm, &ranks);
    MPI_Alltoall(send_counts, 1, MPI_INT64_T, receive_counts, 1, MPI_INT64_T, comm);
    const int64_t each = (int64_t)size;
    int64_t total = 0, begun = 0;
    for (int r = 0; r < ranks; r++)
        total += receive_counts[r];
    char *buffer = trm_alloc(total, size);
    trm_transfer *transfers = trm_alloc_zero(2 * (int64_t)ranks, sizeof *transfers);
    trm_status status = TRM_OK;
    if (buffer == NULL || transfers == NULL)
        status = trm_fail_memory(err, "exchanged rows", total, size);
    /* Nothing may fail once messages are on their way. */
    for (; begun < ranks && status == TRM_OK; begun++) {
        status = begin(&transfers[2 * begun], receive_counts[begun] * each, err);
        if (status == TRM_OK)
            status = begin(&transfers[2 * begun + 1], send_counts[begun] * each, err);
    }
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        goto done;
    int64_t from = 0, into = 0;
    for (int r = 0; r < ranks; r++) {
        post_receive(comm, buffer + into * each, receive_counts[r] * each, r, EXCHANGE_TAG,
                     &transfers[2 * r]);
        post_send(comm, send_counts[r] > 0 ? (const char *)send + from * each : NULL, send_counts[r] * each,
                  r, EXCHANGE_TAG, &transfers[2 * r + 1]);
        into += receive_counts[r];
        from += send_counts[r];
    }
    for (int r = 0; r < 2 * ranks; r++)
        trm_transfer_wait(&transfers[r]);
    *received = buffer;
    buffer = NULL;
done:
    for (int64_t r = 0; r < 2 * begun && status != TRM_OK; r++)
        trm_free(transfers[r].requests);
    trm_free(buffer);
    trm_free(transfers);
    return status;
}
