/* The fp32 kernel's driver by itself, for CPUs that are only emulated: all it needs is itself and the scan. Pairs clearly
 * nearer than a bound survive, with the value of the pair; pairs clearly farther don't; a NaN in a term keeps all pairs of
 * its row. Returns 0 if so. */
#include "kernel/fp32.h"
#include "kernel/scan.h"
#include "metric/isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A_ROWS = 77, B_ROWS = 55, ROUNDED = 96, DIMS_MAX = 100, MARKED = 5 };

static float a_rows[ROUNDED * DIMS_MAX], b_rows[ROUNDED * DIMS_MAX], a_packed[ROUNDED * DIMS_MAX],
    b_packed[ROUNDED * DIMS_MAX];
static float zero[ROUNDED], a_near[ROUNDED], b_near[ROUNDED], a_term[ROUNDED], far_away[ROUNDED];
static trm_survivor survivors[ROUNDED * ROUNDED];
static unsigned state = 1;

static float draw(void)
{
    state = state * 1664525U + 1013904223U;
    return (float)(state >> 8) * 0x1p-23F - 1.0F;
}

static void fill(float *rows, int count, int dims, float *packed)
{
    memset(rows, 0, sizeof a_rows);
    for (int i = 0; i < count * dims; i++)
        rows[i] = draw();
    for (int i = 0; i < ROUNDED; i += TRM_TILE_ALIGN)
        trm_fp32_pack(rows + i * dims, dims, i, dims, 0, dims, packed);
}

static double dot(int i, int j, int dims)
{
    double sum = 0.0;
    for (int k = 0; k < dims; k++)
        sum += (double)a_rows[i * dims + k] * (double)b_rows[j * dims + k];
    return sum;
}

/* Of pair (i, j): nearer than either bound, farther than both, or too close to tell. */
static int wrong(int i, int j, int dims, const float *lo)
{
    const double g = dot(i, j, dims), bound = fmin((double)a_near[i], (double)b_near[j]), slack = 1e-4;
    if (i == MARKED)
        return isinf(*lo); /* must be there */
    if (g > bound + slack && isinf(*lo))
        return 1;
    if (g < bound - slack && !isinf(*lo))
        return 1;
    return !isinf(*lo) && fabs((double)*lo + g) > slack; /* units of v: the terms are 0 */
}

static int try_dims(int dims)
{
    static float lo[A_ROWS][B_ROWS];
    fill(a_rows, A_ROWS, dims, a_packed);
    fill(b_rows, B_ROWS, dims, b_packed);
    for (int i = 0; i < ROUNDED; i++) {
        a_term[i] = i == MARKED ? NAN : 0.0F;
        a_near[i] = i == MARKED ? NAN : i < A_ROWS ? 0.5F * draw() * (float)sqrt(dims) + 1.0F : INFINITY;
        b_near[i] = i < B_ROWS ? 0.5F * draw() * (float)sqrt(dims) + 1.0F : INFINITY;
        far_away[i] = INFINITY;
        for (int j = 0; i < A_ROWS && j < B_ROWS; j++)
            lo[i][j] = INFINITY;
    }
    trm_block a = {
        .rows = A_ROWS, .capacity = ROUNDED, .packed = a_packed, .near_term = a_term, .far_term = zero};
    trm_block b = {
        .rows = B_ROWS, .capacity = ROUNDED, .packed = b_packed, .near_term = zero, .far_term = zero};
    trm_bounds a_bounds = {ROUNDED, 0, a_near, far_away}, b_bounds = {ROUNDED, 0, b_near, far_away};
    trm_workspace work = {.survivors = survivors, .capacity = ROUNDED * ROUNDED};
    const trm_tile tile = {&a, &b, &a_bounds, &b_bounds, 0, 0, A_ROWS, B_ROWS, NULL};
    trm_fp32_run(&tile, dims, false, &work);
    int bad = work.count == 0 || work.count == A_ROWS * B_ROWS;
    for (int64_t k = 0; k < work.count; k++)
        lo[survivors[k].row][survivors[k].col] = survivors[k].row == MARKED ? 0.0F : survivors[k].lo;
    for (int i = 0; i < A_ROWS; i++)
        for (int j = 0; j < B_ROWS; j++)
            bad += wrong(i, j, dims, &lo[i][j]);
    printf("%d columns: %d of %d survive, %d wrong\n", dims, (int)work.count, A_ROWS * B_ROWS, bad);
    return bad;
}

int main(void)
{
    static const int dims[] = {1, 2, 3, 7, 8, 31, 64, 100};
    int bad = 0;
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++)
        bad += try_dims(dims[i]);
    return bad == 0 && trm_isa_get() == TRM_ISA_PORTABLE ? 0 : 1;
}
