/* Kernel "prefix": rows are turned by an orthonormal basis, and the first stage sees the leading coordinates and the
 * norm of the rest. Where the rows lie near few directions, that is a fraction of the work; the second stage is a
 * float32 dot of all dimensions for each pair that is left.
 *
 * The proof (in prose: docs/KERNELS.md); notation of kernel.c.
 * Q: the basis's first d1 directions as they are, |Q'Q - I| <= defect (Frobenius,
 * measured, below 1/4). U: the nearest orthonormal columns, Q = U H, H symmetric, H^2 = Q'Q. t = y - U U'y.
 * 1. <y_i,y_j> = <U'y_i, U'y_j> + <t_i, t_j> <= <U'y_i, U'y_j> + |t_i||t_j|.
 * 2. z = Q'y = H U'y, so |<z_i,z_j> - <U'y_i, U'y_j>| = |(U'y_i)'(H^2 - I) U'y_j| <= defect |y_i||y_j|, and |U'y|^2 >=
 * |z|^2 / (1 + defect) >= |z|^2 (1 - defect). |z| <= (1 + defect)|y|.
 * 3. What is packed is z^ = z + h. Each coordinate is a sum of float32 dots of up to 64 terms, in any order, fused or not, which
 * are off by g |q_k||y| together, g = gamma of 64 terms; they are added in float64 and that is rounded to float32. So |h| <=
 * r |y| + t sqrt(d1), r = u (1 + 2^-10) + sqrt(d1)(1 + 2^-10) g (1 + defect), as |q_k| <= 1 + defect.
 * So |<z^_i,z^_j> - <z_i,z_j>| <= 3 r |y_i||y_j| + 2 t sqrt(d1)(1 + |y_i| + |y_j|); t, 2^-125 for each of D terms, is what flushed
 * denormals take.
 * 4. |t|^2 = |y|^2 - |U'y|^2 <= n - (|z^| - |h|)^2 (1 - defect) <= n - |z^|^2 + (defect (1 + defect)^2 + 4 r) n + tiny <= n
 * - |z^|^2 + (3 defect + 4 r) n + tiny. n and |z^|^2 are summed in float64 and off by (D + d1) w n together at most, relative
 * to n. The last packed column s is at least the root of that, rounded up.
 * 5. So the exact product of the packed rows q = (z^, s) is at least <y_i,y_j> - (defect + 3 r)|y_i||y_j| - tiny, and the
 * computed one at least that less k |q_i||q_j|, k = gamma of d1 + 1 columns, and less what flushed denormals may
 * take. With |a||b| <= (a^2 + b^2)/2: e_i = k |q_i|^2 / 2 + (defect + 3 r) n_i / 2 + tiny.
 * A product that is too large never rules a pair out by its near bound; the far bounds are left to the second stage. */
#include "kernel/prefix.h"

#include "kernel/basis.h"
#include "kernel/blas_threads.h"
#include "kernel/fp32.h"
#include "kernel/pairs.h"
#include "kernel/scan.h"
#include "metric/isa.h"
#include "metric/metric.h"

#include <math.h>
#include <string.h>

enum { CHUNK = TRM_PREFIX_CHUNK, DEPTH = 64 }; /* directions and dimensions at a time: 72 KiB of stack */

/* The leading coordinates, and the norm of the rest. */
static int columns(int dim, int width)
{
    (void)dim;
    return width + 1;
}

/* Zeros for the rows past count: a row's coordinates then don't depend on how many rows its group has. */
void trm_prefix_turn(const trm_block *block, int64_t row, int count, int first, int width, double *z)
{
    const int dim = block->map.dim;
    const float *x = block->mapped + row * dim, *q = block->map.basis->direction + (int64_t)first * dim;
    float y[TRM_TILE_ALIGN * DEPTH] = {0.0F}, part[TRM_TILE_ALIGN * CHUNK];
    memset(z, 0, sizeof *z * TRM_TILE_ALIGN * CHUNK);
    for (int from = 0; from < dim; from += DEPTH) {
        const int depth = dim - from < DEPTH ? dim - from : DEPTH;
        for (int i = 0; i < count; i++)
            memcpy(y + i * DEPTH, x + (int64_t)i * dim + from, sizeof *y * (size_t)depth);
        trm_blas_sgemm(false, TRM_TILE_ALIGN, width, depth, y, DEPTH, q + from, dim, part, CHUNK);
        for (int i = 0; i < TRM_TILE_ALIGN; i++)
            for (int k = 0; k < width; k++)
                z[i * CHUNK + k] += (double)part[i * CHUNK + k];
    }
}

/* Packs the leading coordinates of a group of rows; gives |z^|^2 of each. */
static void pack_coordinates(trm_block *block, int64_t row, int count, double *length2)
{
    const trm_map *map = &block->map;
    double z[TRM_TILE_ALIGN * CHUNK];
    float chunk[TRM_TILE_ALIGN * CHUNK];
    memset(chunk, 0, sizeof chunk);
    for (int first = 0; first < map->width; first += CHUNK) {
        const int width = map->width - first < CHUNK ? map->width - first : CHUNK;
        trm_prefix_turn(block, row, count, first, width, z);
        for (int i = 0; i < count; i++)
            for (int k = 0; k < width; k++) {
                const float value = (float)z[i * CHUNK + k];
                chunk[i * CHUNK + k] = value;
                length2[i] += (double)value * (double)value;
            }
        trm_fp32_pack(chunk, CHUNK, row, block->columns, first, width, block->packed);
    }
}

float trm_prefix_rest(const trm_map *map, double n, double length2, double *error)
{
    const double dim = map->dim, width = map->width, defect = map->basis->defect;
    const double r =
        (1.0 + 0x1p-10) *
        (0x1p-24 + sqrt(width) * trm_float_dot_radius(map->dim < DEPTH ? map->dim : DEPTH) * (1.0 + defect));
    const double tiny = (dim + 16.0) * 0x1p-116 * (1.0 + sqrt(n));
    const double rest2 = n - length2 + (3.0 * defect + 4.0 * r + (dim + width) * 0x1p-51) * n + tiny;
    *error = defect < 0.25 ? (defect + 3.0 * r) * n / 2.0 + tiny : INFINITY;
    return (float)(sqrt(rest2) * (1.0 + 0x1p-22) + 0x1p-120);
}

static void encode(trm_block *block, int64_t row, int count, const double *n, double *error)
{
    const double k = trm_float_dot_radius(block->columns);
    double length2[TRM_TILE_ALIGN] = {0.0};
    float rest[TRM_TILE_ALIGN] = {0.0F};
    pack_coordinates(block, row, count, length2);
    for (int i = 0; i < count; i++) {
        rest[i] = trm_prefix_rest(&block->map, n[i], length2[i], &error[i]);
        error[i] += k * (length2[i] + (double)rest[i] * (double)rest[i]) / 2.0;
    }
    trm_fp32_pack(rest, 1, row, block->columns, block->columns - 1, 1, block->packed);
}

/* Where there is an instruction for sums of bytes, prefix8 is faster on all rows that were tried. */
static bool promising(void)
{
    return !trm_isa_sums_bytes();
}

static void tile_prefix(const trm_tile *tile, trm_workspace *work)
{
    trm_fp32_run(tile, tile->a->columns, true, work);
}

const trm_kernel trm_kernel_prefix = {.name = "prefix",
                                      .promising = promising,
                                      .radius = trm_float_dot_radius,
                                      .tile = tile_prefix,
                                      .columns = columns,
                                      .encode = encode,
                                      .pairs = trm_pairs_fp32,
                                      .codes_from = 128,
                                      .near_only = true,
                                      .needs_basis = true,
                                      .width_step = {-2, 0}};
