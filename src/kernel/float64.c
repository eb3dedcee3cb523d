/* Kernel "float64": rules nothing out, so that tiles are decided whole by the blocked canonical dot. For rows of a few
 * dimensions, where float32 can't tell apart what float64 has to decide. */
#include "kernel/scan.h"

#include <math.h>
#include <stddef.h>

static int64_t packed_floats(int64_t rows, int columns)
{
    (void)rows, (void)columns;
    return 0;
}

static void pack(const float *mapped, int stride, int64_t row, int dim, int first, int width, float *packed)
{
    (void)mapped, (void)stride, (void)row, (void)dim, (void)first, (void)width, (void)packed;
}

/* Nothing is computed: any product is as good. */
static double radius(int dim)
{
    (void)dim;
    return INFINITY;
}

static bool never(void)
{
    return false;
}

static void keep(int64_t row, int64_t from, int64_t to, trm_workspace *work)
{
    for (int64_t col = from; col < to; col++)
        work->survivors[work->count++] = (trm_survivor){(int32_t)row, (int32_t)col, -INFINITY, INFINITY};
}

static void tile_float64(const trm_tile *tile, trm_workspace *work)
{
    const int64_t col_end = tile->col + tile->cols;
    for (int64_t i = 0; i < tile->rows; i++) {
        if (tile->fit == NULL) {
            keep(tile->row + i, tile->col, col_end, work);
            continue;
        }
        for (int part = 0; part < 2; part++) {
            const int64_t from = tile->fit[i].first[part], to = tile->fit[i].last[part];
            keep(tile->row + i, from > tile->col ? from : tile->col, to < col_end ? to : col_end, work);
        }
    }
}

const trm_kernel trm_kernel_float64 = {.name = "float64",
                                       .promising = never,
                                       .packed_floats = packed_floats,
                                       .pack = pack,
                                       .radius = radius,
                                       .tile = tile_float64};
