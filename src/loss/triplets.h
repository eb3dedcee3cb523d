/* A loss on triplets as they come, some at a time: sums and counts, and the pair weights of the gradient.
 *
 * Anchors are rows of one set, positives and negatives of another, or all of one. */
#ifndef TRM_LOSS_TRIPLETS_H
#define TRM_LOSS_TRIPLETS_H

#include "loss/gradient.h"
#include "trimine/loss.h"

typedef struct trm_triplet_loss trm_triplet_loss;

/* Row ids of anchors are places in anchors, those of positives and negatives in others; the same object where there is
 * one set. gradient: will it be asked for? Rows are borrowed. Collective. The caller owns *loss; NULL after a failure.
 * Errors: MEMORY. */
trm_status trm_triplet_loss_create(const trm_given *anchors, const trm_given *others,
                                   const trm_loss_options *options, bool gradient, trm_triplet_loss **loss,
                                   trm_error *err) TRM_MUST_CHECK;
void trm_triplet_loss_destroy(trm_triplet_loss **loss);

/* Adds triplets. A positive of -1 stands for none. Collective. */
trm_status trm_triplet_loss_add(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                                trm_error *err) TRM_MUST_CHECK;

/* sum, count and active over all ranks; of this rank's part, triplets, loss_sum (part may be NULL).
 * Collective. */
void trm_triplet_loss_total(const trm_triplet_loss *loss, trm_loss_summary *summary, trm_loss_part *part);

/* The gradient of this rank's rows, once for each set: of is anchors or others as they were given; the rest as for
 * trm_gradient_finish. Collective. Errors: MEMORY. */
trm_status trm_triplet_loss_gradient(trm_triplet_loss *loss, const trm_given *of, int64_t denominator,
                                     const double *norms, float *out, trm_error *err) TRM_MUST_CHECK;

/* Bytes of a rank for the weights of that many triplets, where a gradient is asked for. */
int64_t trm_triplet_loss_bytes(int64_t triplets);

#endif
