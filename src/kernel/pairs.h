/* The second stage of kernels: a float32 dot of all dimensions for each pair that the first has left. Inner to
 * kernel/. */
#ifndef TRM_KERNEL_PAIRS_H
#define TRM_KERNEL_PAIRS_H

#include "kernel/kernel.h"

/* As trm_kernel.pairs; its radius is trm_float_dot_radius. */
void trm_pairs_fp32(const trm_tile *tile, trm_workspace *work, int64_t from);

#endif
