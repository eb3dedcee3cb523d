/* Kernel "blas": GEMM into a buffer that stays in L2, then the window compare over it. Always there.
 *
 * Layout: panels of 240 rows, k-major: packed[panel][k][240]. OpenBLAS packs both operands anew at every
 * call, and from here it only has to copy: a tile of rows that come from memory takes up to a tenth less time
 * than from a row-major block. */
#include "kernel/blas_core.h"
#include "kernel/blas_threads.h"
#include "kernel/scan.h"
#include "metric/isa.h"

/* fp32 does the same without a buffer; but a CPU that it has no form of its own for may have a BLAS. */
static bool promising(void)
{
    trm_error err = TRM_ERROR_INIT;
    return trm_isa_get() == TRM_ISA_PORTABLE && !trm_blas_takes_turns() &&
           trm_blas_check_core(&err) == TRM_OK;
}

enum { PANEL = 240 };

static int64_t packed_floats(int64_t rows, int dim)
{
    return (rows + PANEL - 1) / PANEL * PANEL * dim;
}

/* Where a row's k = 0 is; its other k follow PANEL apart. */
static int64_t place_of(int64_t row, int dim)
{
    return row / PANEL * PANEL * dim + row % PANEL;
}

static void pack(const float *mapped, int stride, int64_t row, int dim, int first, int width, float *packed)
{
    float *to = packed + place_of(row, dim) + (int64_t)first * PANEL;
    for (int k = 0; k < width; k++)
        for (int i = 0; i < TRM_TILE_ALIGN; i++)
            to[(int64_t)k * PANEL + i] = mapped[i * stride + k];
}

/* The end of the panel that row is in, or end. */
static int64_t panel_end(int64_t row, int64_t end)
{
    const int64_t next = (row / PANEL + 1) * PANEL;
    return next < end ? next : end;
}

static void tile_blas(const trm_tile *tile, trm_workspace *work)
{
    const int dim = tile->a->map.dim;
    const int stride = (int)trm_tile_round_up(tile->cols);
    const int64_t from = work->count, row_end = tile->row + tile->rows, col_end = tile->col + tile->cols;
    for (int64_t row = tile->row; row < row_end; row = panel_end(row, row_end))
        for (int64_t col = tile->col; col < col_end; col = panel_end(col, col_end))
            trm_blas_sgemm(true, (int)(panel_end(row, row_end) - row), (int)(panel_end(col, col_end) - col),
                           dim, tile->a->packed + place_of(row, dim), PANEL,
                           tile->b->packed + place_of(col, dim), PANEL,
                           work->scratch + (row - tile->row) * stride + (col - tile->col), stride);
    trm_scan_get()(tile, work->scratch, stride, tile->row, tile->rows, tile->col, tile->cols, false, work);
    trm_scan_finish(tile, work, from);
}

const trm_kernel trm_kernel_blas = {.name = "blas",
                                    .promising = promising,
                                    .packed_floats = packed_floats,
                                    .pack = pack,
                                    .radius = trm_float_dot_radius,
                                    .tile = tile_blas};
