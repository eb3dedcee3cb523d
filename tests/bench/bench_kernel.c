/* GFLOP/s of cblas_sgemm on T x T x D, of the tile kernels with narrow windows, and of the blocked canonical
 * dot, on one thread in one process, in turns; medians. Usage: bench_kernel [TILE] (240). Kernels count 2 T T
 * D a tile, as sgemm does. */
#include "base/clock.h"
#include "base/random.h"
#include "kernel/kernel.h"
#include "metric/metric.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 41, COLUMNS = 4, STRIPES = 4 };

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct bench {
    int tile, dim, rows;
    float *x, *g;
    double *norm2, *lo, *hi, *dots;
    trm_block *block[2];
    trm_bounds *bounds[2];
    trm_workspace *work;
} bench;

static void fill(bench *t)
{
    double *normals = malloc((size_t)t->dim * sizeof *normals);
    for (int i = 0; i < t->rows; i++) {
        float *x = t->x + (int64_t)i * t->dim;
        trm_random_normals(1, (uint64_t)i, t->dim, normals);
        double norm = 0.0;
        for (int k = 0; k < t->dim; k++)
            norm += normals[k] * normals[k];
        for (int k = 0; k < t->dim; k++)
            x[k] = (float)(normals[k] / sqrt(norm));
        t->norm2[i] = trm_dot(x, x, t->dim);
        t->lo[i] = 0.001, t->hi[i] = 0.1;
    }
    free(normals);
}

/* One pass over STRIPES x STRIPES tiles, row-major as a sweep does. which: 0 sgemm, 1 and 2 the kernels, 3
 * the dots. */
static double pass(bench *t, int which)
{
    const int n = t->tile;
    const double start = trm_clock();
    for (int i = 0; i < STRIPES; i++) {
        for (int j = 0; j < STRIPES; j++) {
            const float *a = t->x + (int64_t)i * n * t->dim, *b = t->x + (int64_t)j * n * t->dim;
            if (which == 0) {
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, t->dim, 1.0F, a, t->dim, b, t->dim,
                            0.0F, t->g, n);
            } else if (which == 3) {
                trm_dot_tile(a, n, b, n, t->dim, t->dots, n);
            } else {
                trm_block *block = t->block[which - 1];
                trm_bounds *bounds = t->bounds[which - 1];
                const trm_tile tile = {block,          block, bounds, bounds, (int64_t)i * n,
                                       (int64_t)j * n, n,     n,      NULL};
                t->work->count = 0;
                trm_kernel_run(&tile, t->work);
            }
        }
    }
    return 2.0 * STRIPES * STRIPES * n * n * t->dim / (trm_clock() - start) * 1e-9;
}

static void run(int tile, int dim)
{
    static const char *const names[] = {"blas", "fp32"};
    bench t = {.tile = tile, .dim = dim, .rows = STRIPES * tile};
    const size_t rows = (size_t)t.rows;
    t.x = malloc(rows * (size_t)dim * sizeof *t.x);
    t.g = malloc((size_t)tile * (size_t)tile * sizeof *t.g);
    t.dots = malloc((size_t)tile * (size_t)tile * sizeof *t.dots);
    t.norm2 = malloc(rows * sizeof *t.norm2);
    t.lo = malloc(rows * sizeof *t.lo);
    t.hi = malloc(rows * sizeof *t.hi);
    fill(&t);
    const trm_map map = {.metric = TRM_METRIC_SQL2, .dim = dim, .scale = 0.5};
    if (trm_workspace_create(tile * trm_tile_round_up(tile), &t.work, NULL) != TRM_OK)
        exit(71);
    for (int k = 0; k < 2; k++) {
        if (trm_block_create(trm_kernel_find(names[k]), &map, t.rows, &t.block[k], NULL) != TRM_OK ||
            trm_bounds_create(t.rows, &t.bounds[k], NULL) != TRM_OK)
            exit(71);
        t.block[k]->rows = t.rows;
        trm_block_fill(t.block[k], 0, t.rows, t.x, t.norm2);
        trm_bounds_set(t.bounds[k], t.block[k], 0, t.rows, t.lo, t.hi);
    }
    double rate[COLUMNS][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        for (int which = 0; which < COLUMNS; which++)
            rate[which][round] = pass(&t, which);
    for (int which = 0; which < COLUMNS; which++)
        qsort(rate[which], ROUNDS, sizeof(double), ascending);
    const double peak = rate[0][ROUNDS / 2];
    printf("T %4d D %4d  sgemm %6.1f  blas %6.1f (%.3f)  fp32 %6.1f (%.3f)  dot_tile %6.1f\n", tile, dim,
           peak, rate[1][ROUNDS / 2], rate[1][ROUNDS / 2] / peak, rate[2][ROUNDS / 2],
           rate[2][ROUNDS / 2] / peak, rate[3][ROUNDS / 2]);
    for (int k = 0; k < 2; k++) {
        trm_block_destroy(&t.block[k]);
        trm_bounds_destroy(&t.bounds[k]);
    }
    trm_workspace_destroy(&t.work);
    free(t.x), free(t.g), free(t.dots), free(t.norm2), free(t.lo), free(t.hi);
}

int main(int argc, char **argv)
{
    const int tile = argc > 1 ? atoi(argv[1]) : 240;
    for (int dim = 64; dim <= 512; dim *= 2)
        run(tile, dim);
    return 0;
}
