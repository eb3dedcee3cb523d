/* A loss on triplets as they come, some at a time: sums and counts, and the pair weights of the gradient. */
#ifndef TRM_LOSS_TRIPLETS_H
#define TRM_LOSS_TRIPLETS_H

#include "loss/gradient.h"
#include "trimine/loss.h"

typedef struct trm_triplet_loss trm_triplet_loss;

/* gradient: NULL where none is asked for. All borrowed. Collective. Errors: MEMORY. */
trm_status trm_triplet_loss_create(const trm_given *given, const trm_loss_options *options,
                                   trm_gradient *gradient, trm_triplet_loss **loss,
                                   trm_error *err) TRM_MUST_CHECK;
void trm_triplet_loss_destroy(trm_triplet_loss **loss);

/* Adds triplets. A positive of -1 stands for none. Collective. */
trm_status trm_triplet_loss_add(trm_triplet_loss *loss, const trm_triplet *triplets, int64_t count,
                                trm_error *err) TRM_MUST_CHECK;

/* sum, count and active over all ranks; of this rank's part, triplets, loss_sum (part may be NULL).
 * Collective. */
void trm_triplet_loss_total(const trm_triplet_loss *loss, trm_loss_summary *summary, trm_loss_part *part);

/* Bytes of a rank for the weights of that many triplets, where a gradient is asked for. */
int64_t trm_triplet_loss_bytes(int64_t triplets);

#endif
