/* Leading coordinates of rows in a basis, and the norm of the rest, for the kernels that look at those first. Inner to
 * kernel/. */
#ifndef TRM_KERNEL_PREFIX_H
#define TRM_KERNEL_PREFIX_H

#include "kernel/kernel.h"

enum { TRM_PREFIX_CHUNK = 64 }; /* directions at a time */

/* Rows [row, row + count) of a block, at most TRM_TILE_ALIGN of them, to directions [first, first + width) of its basis, in
 * float64: z, row-major, TRM_PREFIX_CHUNK a row. */
void trm_prefix_turn(const trm_block *block, int64_t row, int count, int first, int width, double *z);

/* The norm of what the leading coordinates z^ leave of a row, rounded up: s of prefix.c. n: |y|^2; length2: |z^|^2. *error: the
 * row's part of the error of <z^_i,z^_j> + s_i s_j, computed exactly; infinite where the basis is too far from orthonormal. */
float trm_prefix_rest(const trm_map *map, double n, double length2, double *error);

#endif
