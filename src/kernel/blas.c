/* Kernel "blas": one GEMM call into a buffer that stays in L2, then the window compare over it. Always there.
 */
#include "kernel/scan.h"

#include <cblas.h>
#include <string.h>

static bool available(void)
{
    return true;
}

static int64_t packed_floats(int64_t rows, int dim)
{
    return rows * dim;
}

/* Plain row-major. */
static void pack(const float *mapped, int stride, int64_t row, int dim, int first, int width, float *packed)
{
    for (int i = 0; i < TRM_TILE_ALIGN; i++)
        memcpy(packed + (row + i) * dim + first, mapped + i * stride, (size_t)width * sizeof *packed);
}

static void tile_blas(const trm_tile *tile, trm_workspace *work)
{
    const int dim = tile->a->map.dim;
    const int stride = (tile->cols + TRM_TILE_ALIGN - 1) / TRM_TILE_ALIGN * TRM_TILE_ALIGN;
    const int64_t from = work->count;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tile->rows, tile->cols, dim, 1.0F,
                tile->a->packed + tile->row * dim, dim, tile->b->packed + tile->col * dim, dim, 0.0F,
                work->scratch, stride);
    trm_scan_get()(tile, work->scratch, stride, tile->row, tile->rows, tile->col, tile->cols, work);
    trm_scan_finish(tile, work, from);
}

const trm_kernel trm_kernel_blas = {"blas", available, packed_floats, pack, trm_float_dot_radius, tile_blas};
