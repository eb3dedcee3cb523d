/* The window compare on a piece of a computed tile, shared by the kernels. Inner to kernel/. */
#ifndef TRM_KERNEL_SCAN_H
#define TRM_KERNEL_SCAN_H

#include "kernel/kernel.h"

/* Appends the survivors among g[i * stride + j] = <a_(row+i), b_(col+j)>, i < rows, j < cols, of the pairs that
 * fit; row and col are places in the blocks. g must be readable, whatever it holds, up to cols rounded up to
 * a multiple of TRM_SCAN_RUN. near_only: only the near bound rules out. Writes the bounds of a survivor in units of v;
 * trm_scan_finish turns them into distances. */
typedef void trm_scan(const trm_tile *tile, const float *g, int64_t stride, int64_t row, int rows,
                      int64_t col, int cols, bool near_only, trm_workspace *work);

enum { TRM_SCAN_RUN = 24 };

/* The form for this CPU. */
trm_scan *trm_scan_get(void);

/* Bounds of the survivors [from, work->count) from units of v to the metric's, rounded outward. */
void trm_scan_finish(const trm_tile *tile, trm_workspace *work, int64_t from);

extern const trm_kernel trm_kernel_bf16, trm_kernel_blas, trm_kernel_float64, trm_kernel_fp32,
    trm_kernel_int8, trm_kernel_prefix, trm_kernel_prefix8;

/* y of columns [first, first + width) of a row x with canonical squared norm norm2; returns their part of |y|^2. */
double trm_map_row(const trm_map *map, const float *x, double norm2, int first, int width, float *y);

/* Relative radius of a float32 dot of dim terms in any order, fused or not: gamma_(dim + 4). Terms pass at
 * most dim roundings (Higham, Accuracy and Stability, 3.1); four more allow for C = 1 * AB + 0 * C and split
 * sums. */
double trm_float_dot_radius(int dim);

#endif
