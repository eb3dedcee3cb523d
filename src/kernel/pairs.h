/* The second stage of kernels: for each pair that the first has left, a product of all dimensions. Inner to kernel/. */
#ifndef TRM_KERNEL_PAIRS_H
#define TRM_KERNEL_PAIRS_H

#include "kernel/kernel.h"

/* As trm_kernel.pairs, by a float32 dot; its radius is trm_float_dot_radius. */
void trm_pairs_fp32(const trm_tile *tile, trm_workspace *work, int64_t from);

/* Of blocks with codes: keeps of the survivors [from, work->count) those that a product of these can't rule out. Their bounds are
 * left to what comes next. */
void trm_pairs_codes(const trm_tile *tile, trm_workspace *work, int64_t from);

#endif
