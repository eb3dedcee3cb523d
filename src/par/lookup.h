/* Lists by row id, which ranks ask for by that id alone, wherever a list was made.
 *
 * A list lives at the rank that its row id names (the id modulo the number of ranks), so nobody needs to know who has
 * what, and lists of rows that are neighbours are spread over all ranks. */
#ifndef TRM_PAR_LOOKUP_H
#define TRM_PAR_LOOKUP_H

#include "base/error.h"
#include "base/lists.h"

#include <mpi.h>
#include <stdint.h>

typedef struct trm_lookup trm_lookup;

/* Takes this rank's lists: that of id[k], which is not negative and has a list on no other rank, is value[offset[k]] to
 * value[offset[k + 1] - 1]. Empty ones are not kept. Collective; comm is borrowed until destroy. Errors: MEMORY. */
trm_status trm_lookup_create(MPI_Comm comm, int64_t count, const int64_t *id, const int64_t *offset,
                             const int64_t *value, trm_lookup **lookup, trm_error *err) TRM_MUST_CHECK;
/* Not collective. */
void trm_lookup_destroy(trm_lookup **lookup);

/* What came of asking. */
typedef struct trm_found {
    trm_list *list; /* of each id, in the order in which they were asked for; empty where there is none */
    int64_t *value; /* where the lists are */
} trm_found;

/* Asks for the lists of these ids, each asked for once. The caller owns *found (trm_found_free), also after a failure.
 * Collective. Errors: MEMORY. */
trm_status trm_lookup_ask(const trm_lookup *lookup, int64_t count, const int64_t *id, trm_found *found,
                          trm_error *err) TRM_MUST_CHECK;
void trm_found_free(trm_found *found);

/* What this rank answers to all others while they ask. */
typedef struct trm_lookup_load {
    int64_t ids, values;
} trm_lookup_load;

/* Asks for the lengths of these lists only; and what trm_lookup_ask would be for this rank, if all asked alike. Collective.
 * Errors: MEMORY. */
trm_status trm_lookup_lengths(const trm_lookup *lookup, int64_t count, const int64_t *id, int64_t *length,
                              trm_lookup_load *load, trm_error *err) TRM_MUST_CHECK;
/* That, if ranks ask for so many ids, and each list here is asked for so many times. Not collective. */
trm_lookup_load trm_lookup_all(const trm_lookup *lookup, int64_t ids, int64_t times);

/* Bytes that lists take on this rank; and that asking for so many ids, with so many values in all of their lists, takes.
 * Not collective. */
int64_t trm_lookup_bytes(const trm_lookup *lookup);
int64_t trm_lookup_ask_bytes(int64_t ids, int64_t values, trm_lookup_load load);

#endif
