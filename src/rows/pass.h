/* Rows that pass by all ranks: one piece after the other, each the same on every rank, in an order that does not
 * depend on the ranks. So sums over rows come out in one order, and no rank holds more than its own rows and a
 * piece. The walk of rows as they were given (given.h) and that of batch-all's gradient are made of it. */
#ifndef TRM_ROWS_PASS_H
#define TRM_ROWS_PASS_H

#include "rows/run.h"

#include <stdint.h>

/* Consecutive rows [first, first + count), on every rank at once. Borrowed until the next piece. */
typedef struct trm_piece {
    int64_t first, count;
    const float *x; /* count x dim */
    const int64_t *label;
    const double *norm2;
} trm_piece;

/* Room for a piece. */
typedef struct trm_pass {
    MPI_Comm comm; /* borrowed */
    int rank, ranks, dim;
    float *x;
    int64_t *label;
    double *norm2;
    double *waited; /* seconds that went on messages are added to this; NULL: nobody asks */
} trm_pass;

/* Of at most so many rows of so many dimensions at once. trm_pass_end ends it, whatever came of it. Collective on
 * comm, which is borrowed. Errors: MEMORY. */
trm_status trm_pass_begin(trm_pass *pass, MPI_Comm comm, int dim, int64_t rows,
                          trm_error *err) TRM_MUST_CHECK;
/* Brings rows from the rank root to all. piece: first and count on all ranks, all of it on root, where its arrays stay
 * where they are; filled in elsewhere. Collective. */
void trm_pass_rows(const trm_pass *pass, int root, trm_piece *piece);
/* The same for what belongs to them: bytes from root's data to the others'. Collective. */
void trm_pass_bytes(const trm_pass *pass, int root, void *data, int64_t bytes);
void trm_pass_end(trm_pass *pass);
/* Bytes of such room. */
int64_t trm_pass_room(int dim, int64_t rows);

#endif
