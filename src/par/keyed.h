/* Numbers by key (a label, say), added up over all ranks and asked for by the key alone: each key is at home at one rank. */
#ifndef TRM_PAR_KEYED_H
#define TRM_PAR_KEYED_H

#include "base/error.h"

#include <mpi.h>
#include <stdint.h>

/* What is known of a key: numbers that add up, and one of which the largest counts. */
typedef struct trm_keyed {
    int64_t key, sum[2], largest;
} trm_keyed;

/* Sorts by key, and makes those of one key one; returns how many are left. Not collective. */
int64_t trm_keyed_join(trm_keyed *list, int64_t count);

/* asked[i] becomes what all ranks' own have of asked[i].key, zero where there is none. own is put in another order; asked may
 * have a key twice. Collective. Errors: MEMORY. */
trm_status trm_keyed_ask(MPI_Comm comm, trm_keyed *own, int64_t own_count, trm_keyed *asked, int64_t count,
                         trm_error *err) TRM_MUST_CHECK;

/* Bytes that asking needs beside both lists, where ranks have about as many keys. */
int64_t trm_keyed_ask_bytes(int64_t own_count, int64_t count);

#endif
