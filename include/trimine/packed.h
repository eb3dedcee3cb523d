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

/* A rank's part of ready triplets; rank r's anchors follow rank r-1's. All borrowed; NULL is fine on a rank without anchors. */
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
    /* Which of an anchor's own K negatives make a triplet: a policy as in trm_mine_options, where all negatives are
     * these K and there is one positive; ties go to the first. "semihard" takes the one negative where K = 1, whatever
     * it is: such triplets are ready. Sets are listed. What is drawn goes by (seed, number of the anchor among those of
     * all ranks, place among its K). Besides "reversed", which is no triplet loss: min over k of
     * [d(a,n_k) - d(a,p) + margin]+, as once published. Borrowed. */
    const char *negatives;
    trm_window window;    /* of "semihard", as are pick and fallback */
    double window_margin; /* of it and of sets; finite, >= 0; loss.margin may be another, as with soft */
    trm_pick pick;
    trm_fallback fallback;
    uint64_t seed;
    double norm_floor; /* cosine: a squared norm below is taken as this, and as a constant in the gradient:
                        * rows x / sqrt(max(|x|^2, norm_floor)), as tf.math.l2_normalize makes them. A row of
                        * zeros has then similarity 0 with all; 0: no floor, and no such rows */
    /* Gets the triplets, some at a time, each rank its own; as in trm_mine, but in the order of anchors and ranks. The
     * anchor and its positive have the anchor's number among those of all ranks, negative k of anchor a has a K + k.
     * May be NULL, on some ranks or all. */
    trm_triplet_fn emit;
    void *context;
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
 * no anchors at all; a loss or gradient that does not fit, as trm_evaluate), MEMORY, and whatever emit returns. */
TRM_API trm_status trm_packed_loss(MPI_Comm comm, const trm_packed *packed, const trm_packed_options *options,
                                   float *const gradient[3], trm_loss_summary *summary, trm_loss_part *part,
                                   trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
