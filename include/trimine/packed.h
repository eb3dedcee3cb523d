/* Losses on packed triplets: each anchor comes with its positive and K negatives, as rows, and no store.
 *
 * Needs loss.h, for the options and what is given back, and mpi.h: the call has no run, only a communicator. */
#ifndef TRIMINE_PACKED_H
#define TRIMINE_PACKED_H

#include "trimine/abi.h"
#include "trimine/loss.h"
#include "trimine/mine.h"
#include "trimine/status.h"

#include <mpi.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which of an anchor's own K negatives makes its triplet. */
typedef enum trm_packed_pick {
    TRM_PACKED_SEMIHARD, /* by window, pick and fallback; an anchor may go without a triplet */
    TRM_PACKED_HARD,     /* the nearest */
    TRM_PACKED_RANDOM,   /* by the smallest of keys drawn from (seed, anchor, k) */
    TRM_PACKED_REVERSED  /* not a triplet loss: min over k of [d(a,n_k) - d(a,p) + margin]+, as once published
                          */
} trm_packed_pick;

/* A rank's part of ready triplets; rank r's anchors follow rank r-1's. With K = 1 the one negative is taken,
 * whatever pick says, but for TRM_PACKED_REVERSED. All borrowed; NULL is fine on a rank without anchors. */
typedef struct trm_packed {
    int64_t count;                  /* anchors of this rank; may be 0 */
    int64_t negatives;              /* K >= 1, equal on all ranks */
    int dim;                        /* >= 1, equal on all ranks */
    const float *anchor, *positive; /* count x dim, float32, row-major, finite */
    const float *negative;          /* count x K x dim */
    const double *anchor_norms, *positive_norms, *negative_norms; /* as in trm_batch; all NULL or all given */
} trm_packed;

typedef struct trm_packed_options {
    size_t size; /* set by trm_packed_options_init, as that of loss is */
    trm_loss_options loss;
    trm_packed_pick pick;
    trm_window window;    /* these four for TRM_PACKED_SEMIHARD */
    double window_margin; /* finite, >= 0; loss.margin may be another, as with soft */
    trm_pick semihard_pick;
    trm_fallback fallback;
    uint64_t seed;
    double norm_floor; /* cosine: a squared norm below is taken as this, and as a constant in the gradient:
                        * rows x / sqrt(max(|x|^2, norm_floor)), as tf.math.l2_normalize makes them. A row of
                        * zeros has then similarity 0 with all; 0: no floor, and no such rows */
} trm_packed_options;

/* sql2, margin 1, hinge, mean_all, semihard nearest window lt of 1, fallback skip, no floor. Not collective.
 */
TRM_API void trm_packed_options_init_sized(trm_packed_options *options, size_t size, size_t loss_size);
static inline void trm_packed_options_init(trm_packed_options *options)
{
    trm_packed_options_init_sized(options, sizeof *options, sizeof options->loss);
}

/* Evaluates a loss on packed triplets. Collective on comm, which is dup'ed for the call; options, negatives
 * and dim equal on all ranks. gradient: three arrays shaped as anchor, positive and negative, owned by the
 * caller, or all NULL, by the rule of trm_evaluate. valid and rows of the summary are the anchors. part: may
 * be NULL. Errors: USAGE (as trm_evaluate; reversed with soft or swap), DATA (a value that is not finite,
 * zero norm under cosine without a floor: the first such anchor is named; a norm that is no number above 0;
 * no anchors at all; a loss or gradient that does not fit, as trm_evaluate), MEMORY. */
TRM_API trm_status trm_packed_loss(MPI_Comm comm, const trm_packed *packed, const trm_packed_options *options,
                                   float *const gradient[3], trm_loss_summary *summary, trm_loss_part *part,
                                   trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
