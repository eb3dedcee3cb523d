/* The driver of micro-kernels that multiply a strip of a few rows with a group of columns, in blocks whose groups of
 * TRM_TILE_ALIGN rows are packed in columns of one word of four bytes a row. Inner to kernel/. */
#ifndef TRM_KERNEL_STRIPS_H
#define TRM_KERNEL_STRIPS_H

#include "kernel/kernel.h"
#include "metric/isa.h"

#if TRM_HAVE_X86
#include <immintrin.h>
#endif

enum { TRM_STRIP_MAX = 8 };

/* The windows of a strip of rows and of a group of columns, from the first of them on; with leading coordinates, the norms
 * of their rests, else NULL. */
typedef struct trm_edges {
    const float *row_near, *row_term, *col_near, *col_term, *row_rest, *col_rest;
} trm_edges;

/* Multiplies a strip of rows (a: their word of column 0) with a group of columns. Returns the rows of which a pair may be
 * near enough, a bit each; all products of these rows are in out, TRM_TILE_ALIGN a row. */
typedef uint32_t trm_strip_kernel(const float *a, const float *b, int words, trm_edges e, float *out);

#if TRM_HAVE_X86
/* What a row's products with 16 columns from j on leave; all of them go to out. near and term: the row's, in each place. */
TRM_TARGET_AVX512 static inline __attribute__((always_inline)) unsigned
trm_strip_test(__m512 g, __m512 near, __m512 term, trm_edges e, int j, float *out)
{
    const __m512 bound = _mm512_min_ps(_mm512_add_ps(near, _mm512_loadu_ps(e.col_term + j)),
                                       _mm512_add_ps(term, _mm512_loadu_ps(e.col_near + j)));
    _mm512_storeu_ps(out + j, g);
    return (unsigned)_mm512_cmp_ps_mask(g, bound, _CMP_NLE_UQ);
}
#endif

/* Appends the survivors of a tile, with their bounds in units of v. strip: rows, TRM_STRIP_MAX or fewer. rest: the column of the
 * norms of what is not in the words, so that products are at least what they stand for; 0: there is none. */
void trm_strips_run(const trm_tile *tile, int strip, trm_strip_kernel *multiply, int words, int rest,
                    trm_workspace *work);

#endif
