/* The hinge loss of one list of triplets at several margins.
 *
 * A triplet is active at a margin m where (d(a,p) - d(a,n)) + m > 0, which in float64, too, is where the
 * float64 value of d(a,n) - d(a,p) is less than m: a difference of two numbers is 0 only where they are equal.
 * So each triplet belongs to one place among the ascending margins, the first at which it is active, and what
 * is active at a margin is what belongs to it and to the smaller ones. Sums are exact: the same bits as of a
 * job with that one margin. */
#ifndef TRM_LOSS_MARGINS_H
#define TRM_LOSS_MARGINS_H

#include "base/error.h"
#include "trimine/mine.h"

#include <mpi.h>

/* What a margin comes to. A mean over nothing is 0. */
typedef struct trm_margin {
    double margin;
    int64_t count; /* triplets, the same at every margin */
    int64_t
        semihard;   /* of those of kind semihard, the ones inside the margin: 0 < d(a,n) - d(a,p) < margin */
    int64_t active; /* of all */
    double sum;     /* exact sum of d(a,p), -d(a,n) and margin over the active, rounded once */
    double active_share, mean_all, mean_nonzero;
} trm_margin;

enum { TRM_MARGINS_MOST = 100 };

typedef struct trm_margins trm_margins;

/* Bytes that a rank needs. Not collective. */
int64_t trm_margins_bytes(int threads, int count);
/* margin: count of them, 1 to TRM_MARGINS_MOST, finite, >= 0, in any order; equal on all ranks. threads: of
 * OpenMP, may differ. Collective. The caller owns *margins; NULL after a failure. Errors: MEMORY. */
trm_status trm_margins_create(MPI_Comm comm, int threads, int count, const double *margin,
                              trm_margins **margins, trm_error *err) TRM_MUST_CHECK;
/* Adds triplets. Not collective. */
void trm_margins_add(trm_margins *margins, const trm_triplet *triplets, int64_t count);
/* Fills in one a margin, in the order that they were given in. Collective. Errors: DATA (a sum is beyond
 * float64). */
trm_status trm_margins_total(trm_margins *margins, trm_margin *total, trm_error *err) TRM_MUST_CHECK;
/* Frees, and sets to NULL. Not collective. */
void trm_margins_destroy(trm_margins **margins);

#endif
