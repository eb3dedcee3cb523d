/* The rows as they were given: rank r's follow rank r-1's, so a row's owner is arithmetic on its row id.
 *
 * Losses live here, not in the arrangement by label: a triplet names rows by id, and a gradient belongs to
 * the caller's own rows. What a rank needs of other ranks' rows passes by in a walk: all rows, in ascending
 * row id, piece by piece through all ranks (pass.h). */
#ifndef TRM_ROWS_GIVEN_H
#define TRM_ROWS_GIVEN_H

#include "rows/pass.h"
#include "rows/run.h"

#include <stddef.h>
#include <stdint.h>

typedef struct trm_given {
    MPI_Comm comm; /* the run's, borrowed */
    int rank, ranks, threads, dim;
    int64_t *first; /* ranks + 1: rank r has rows [first[r], first[r + 1]) */
    int64_t count;
    const float *x;       /* count x dim, borrowed */
    const int64_t *label; /* all 0 where there are none */
    double *norm2;        /* count: canonical dot of the row with itself */
    double *waited;       /* seconds of walks and routes that went on messages; &waited_s, or another's */
    double waited_s;
    int64_t *no_label;
} trm_given;

/* Collective. x and label are borrowed until destroy; x may be NULL where nothing walks, label where rows have none.
 * Errors: MEMORY. */
trm_status trm_given_create(const trm_run *run, int64_t count, int dim, const float *x, const int64_t *label,
                            trm_given **given, trm_error *err) TRM_MUST_CHECK;
/* Not collective. */
void trm_given_destroy(trm_given **given);

int64_t trm_given_total(const trm_given *given);
/* The rank that has row id, 0 <= id < total. */
int trm_given_owner(const trm_given *given, int64_t id);

typedef void (*trm_piece_fn)(void *context, const trm_piece *piece);

/* Calls visit on every rank for every piece, in ascending row id. Collective. Errors: MEMORY. */
trm_status trm_given_walk(const trm_given *given, trm_piece_fn visit, void *context,
                          trm_error *err) TRM_MUST_CHECK;

/* Bytes that a walk holds on a rank, for the memory plan. */
int64_t trm_given_walk_bytes(int dim);

/* Sends each of count items (size bytes) to the owner of the row id that an item begins with (an int64).
 * Collective. items are reordered. *received: owned by the caller (trm_free); receive_counts: one a rank.
 * send_counts: one a rank, filled in. Errors: MEMORY. */
trm_status trm_given_route(const trm_given *given, void *items, int64_t count, size_t size,
                           int64_t *send_counts, void **received, int64_t *receive_counts,
                           trm_error *err) TRM_MUST_CHECK;

#endif
