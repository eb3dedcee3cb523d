/* Rows of small whole numbers, each by itself, for a look at single pairs that reads a fourth of the memory that float32
 * takes. Inner to kernel/. */
#ifndef TRM_KERNEL_CODES_H
#define TRM_KERNEL_CODES_H

#include "kernel/kernel.h"

#include <string.h>

/* What is known of a row, in front of its codes. scale * code: its coordinates, about. slack: by how much the error of the tile's
 * products is larger than that of these (a negative number: smaller). sum: of its codes. */
typedef struct trm_coded {
    float scale, slack;
    int32_t sum, unused;
} trm_coded;

/* Bytes of a row: whole cache lines. */
static inline int64_t trm_codes_stride(int dim)
{
    enum { LINE = 64 };
    return ((int64_t)sizeof(trm_coded) + dim + LINE - 1) / LINE * LINE;
}

/* A row of a block that has codes. */
static inline const uint8_t *trm_codes_row(const trm_block *block, int64_t row)
{
    return (const uint8_t *)block->codes + row * trm_codes_stride(block->map.dim);
}

static inline trm_coded trm_coded_of(const uint8_t *row)
{
    trm_coded coded;
    memcpy(&coded, row, sizeof coded);
    return coded;
}

/* What is left of a row over what its codes keep, about: of normal coordinates that are rounded to multiples of the largest one's size
 * over largest. */
double trm_codes_ratio(int dim, int largest);

/* Writes the codes of a mapped row. n: |y|^2, error: its part of the error of a tile's product, which is ruled out by at first. */
void trm_codes_put(trm_block *block, int64_t row, double n, double error);

/* The sum of the products of two rows' codes, which is exact. x, y: of trm_codes_row. */
typedef int32_t trm_codes_product(const uint8_t *x, const uint8_t *y, int64_t stride);

/* The form for this CPU. */
trm_codes_product *trm_codes_product_get(void);

#endif
