/* The driver of the fp32 micro-kernel on rows packed in any number of dimensions, for kernels that go through fewer
 * or other columns than the rows have. Inner to kernel/. */
#ifndef TRM_KERNEL_FP32_H
#define TRM_KERNEL_FP32_H

#include "kernel/kernel.h"

/* As in trm_kernel, with dims packed columns instead of the map's. */
void trm_fp32_pack(const float *mapped, int stride, int64_t row, int dims, int first, int width,
                   float *packed);

/* Multiplies what is packed in the tile's blocks, dims columns of it, and appends the survivors with their bounds in
 * units of v: trm_scan_finish turns them into distances. near_only: products are at least what they stand for, so
 * that a pair is ruled out by its near bound alone, and only lo of a survivor means anything. */
void trm_fp32_run(const trm_tile *tile, int dims, bool near_only, trm_workspace *work);

#endif
