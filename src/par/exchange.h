/* Moving large arrays between ranks: counts and byte sizes beyond int, split where MPI's int counts end. */
#ifndef TRM_PAR_EXCHANGE_H
#define TRM_PAR_EXCHANGE_H

#include "base/error.h"

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

/* Sends items to their ranks: send holds the items for rank 0, then rank 1, ... (send_counts[r] items of size
 * bytes); NULL is fine where there are none. Collective. *received (owned by the caller: trm_free) holds the items from rank 0, then 1, ...;
 * receive_counts (one int64 a rank, filled in) says how many. Errors: MEMORY, agreed. */
trm_status trm_exchange_items(MPI_Comm comm, const void *send, const int64_t *send_counts, size_t size,
                              void **received, int64_t *receive_counts, trm_error *err) TRM_MUST_CHECK;

/* The rank of a key. Not collective. */
static inline int trm_home_of(int ranks, int64_t key)
{
    return (int)((uint64_t)key % (uint64_t)ranks);
}
/* Sends items to the homes of their keys, which are the int64 that each item begins with; those for one rank keep their
 * order. sent has one int64 a rank, and is filled in. Otherwise as above. */
trm_status trm_exchange_by_key(MPI_Comm comm, const void *items, int64_t count, size_t size, int64_t *sent,
                               int64_t *receive_counts, void **received, trm_error *err) TRM_MUST_CHECK;

/* One sum over ranks and the sum of the lower ranks (0 on rank 0). Collective. */
int64_t trm_sum_int64(MPI_Comm comm, int64_t value);
int64_t trm_prefix_int64(MPI_Comm comm, int64_t value);

/* Non-blocking transfer of any number of bytes, in pieces of at most 1 GiB. trm_transfer_wait ends it and
 * frees the requests. A transfer that was never begun may be waited for. Not collective; main thread only. */
typedef struct trm_transfer {
    MPI_Request *requests;
    int count;
} trm_transfer;

trm_status trm_transfer_send(MPI_Comm comm, const void *data, int64_t bytes, int to, int tag,
                             trm_transfer *transfer, trm_error *err) TRM_MUST_CHECK;
trm_status trm_transfer_receive(MPI_Comm comm, void *data, int64_t bytes, int from, int tag,
                                trm_transfer *transfer, trm_error *err) TRM_MUST_CHECK;
void trm_transfer_wait(trm_transfer *transfer);

/* The half-open part [*first, *last) of n items that belongs to rank of size: r*n/p .. (r+1)*n/p. */
void trm_share(int64_t n, int rank, int size, int64_t *first, int64_t *last);

#endif
