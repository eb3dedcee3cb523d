/* A tile, strip by strip; see strips.h. */
#include "kernel/strips.h"

#include "kernel/scan.h"

#include <stddef.h>

enum { GROUP = TRM_TILE_ALIGN };

static int least(int64_t a, int64_t b)
{
    return (int)(a < b ? a : b);
}

void trm_strips_run(const trm_tile *tile, int strip, trm_strip_kernel *multiply, int words, int rest,
                    trm_workspace *work)
{
    const int packed = tile->a->columns;
    const int64_t row_end = tile->row + tile->rows, col_end = tile->col + tile->cols;
    trm_scan *const scan = trm_scan_get();
    _Alignas(64) float out[TRM_STRIP_MAX * GROUP];
    for (int64_t col = tile->col; col < col_end; col += GROUP) {
        const float *b = tile->b->packed + col * packed;
        for (int64_t row = tile->row; row < row_end; row += strip) {
            const float *a = tile->a->packed + row / GROUP * GROUP * packed + row % GROUP;
            const trm_edges e = {.row_near = tile->a_bounds->near + (row - tile->a_bounds->first),
                                 .row_term = tile->a->near_term + row,
                                 .col_near = tile->b_bounds->near + (col - tile->b_bounds->first),
                                 .col_term = tile->b->near_term + col,
                                 .row_rest = rest > 0 ? a + (int64_t)rest * GROUP : NULL,
                                 .col_rest = rest > 0 ? b + (int64_t)rest * GROUP : NULL};
            uint32_t rows = multiply(a, b, words, e, out) & ((1U << least(row_end - row, strip)) - 1U);
            for (; rows != 0; rows &= rows - 1) {
                const int i = __builtin_ctz(rows);
                scan(tile, out + i * GROUP, GROUP, row + i, 1, col, least(col_end - col, GROUP), rest > 0,
                     work);
            }
        }
    }
}
