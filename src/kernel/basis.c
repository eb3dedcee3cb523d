/* Making a basis. With Y the mapped rows of the sample, Q is turned by the eigenvectors of (Y Q)'(Y Q), so that its leading
 * directions are the ones that hold most. Of up to some hundred dimensions Q is all of them, which takes less time than to
 * look for the better ones; of more a random Q of as many columns as wanted becomes an orthonormal basis of Y'Y Q first. All of
 * this may be as inexact as it likes: what the error bounds need to know is measured in the end, on the float32 directions as
 * they are. */
#include "kernel/basis.h"

#include "base/alloc.h"
#include "base/random.h"
#include "kernel/lapack.h"
#include "kernel/scan.h"
#include "metric/metric.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum {
    MOST = 256,
    DIRECT = 512, /* dimensions */
    ITERATIONS = 1,
    PROBES = 32,
    LOOK = 256, /* rows at which the directions are counted */
    SAMPLE = 2048,
    SAMPLE_FLOATS = 1 << 20,
    SAMPLE_LEAST = 256,
    PART = 20
};

static const int candidates[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};
enum { CANDIDATES = sizeof candidates / sizeof candidates[0] };

/* Beyond two thirds of the dimensions there is nothing to gain. */
int trm_basis_most(int dim)
{
    const int most = 2 * dim / 3;
    return most < 1 ? 1 : most > MOST ? MOST : most;
}

int64_t trm_basis_sample(int64_t rows, int dim)
{
    int64_t count = SAMPLE_FLOATS / dim;
    count = count > SAMPLE ? SAMPLE : count < SAMPLE_LEAST ? SAMPLE_LEAST : count;
    const int64_t part = rows / PART < SAMPLE_LEAST ? SAMPLE_LEAST : rows / PART;
    count = part < count ? part : count;
    return rows < count ? rows : count;
}

int trm_basis_candidate(const trm_basis *basis, int i)
{
    return i >= 0 && i < (int)CANDIDATES && candidates[i] <= basis->widths ? candidates[i] : 0;
}

int trm_basis_widest(int dim)
{
    int widest = 1;
    for (int i = 0; i < (int)CANDIDATES && candidates[i] <= trm_basis_most(dim); i++)
        widest = candidates[i];
    return widest;
}

int64_t trm_basis_bytes(int dim)
{
    return (int64_t)sizeof(trm_basis) + (int64_t)trm_basis_most(dim) * dim * (int64_t)sizeof(float);
}

double trm_basis_work(int64_t rows, int dim)
{
    const double d = dim, n = (double)rows;
    return dim <= DIRECT ? 12.0 * d * d * d + 2.0 * n * d * d : 40.0 * MOST * MOST * d + 8.0 * n * d * MOST;
}

/* What is computed with. y: rows x dim; q: widths x dim; z = y q', rows x widths. Only the leading ones are kept. */
typedef struct work {
    int rows, dim, widths, kept;
    float *y, *q, *turned, *z, *small, *tau, *lapack, *product, *exact;
    double *n, *rest, *normals;
    int *integers, lapack_size, integers_size;
} work;

/* What its functions work in: blocks of up to 64 columns, or two more matrices for the eigenvectors. */
static int64_t lapack_size(int widths)
{
    return 1 + 64 * (int64_t)widths + 2 * (int64_t)widths * widths;
}

static int64_t integers_size(int widths)
{
    return 3 + 5 * (int64_t)widths;
}

static int most_widths(int dim)
{
    return dim <= DIRECT ? dim : trm_basis_most(dim);
}

int64_t trm_basis_scratch_bytes(int64_t rows, int dim)
{
    const int64_t widths = most_widths(dim);
    return (rows * dim + 2 * widths * dim + rows * widths + widths * widths + widths +
            lapack_size((int)widths) + integers_size((int)widths) + 2 * PROBES * rows) *
               (int64_t)sizeof(float) +
           (2 * rows + dim) * (int64_t)sizeof(double);
}

static void free_work(work *w)
{
    void *const all[] = {w->y,     w->n,   w->rest,   w->normals, w->q,     w->turned,  w->z,
                         w->small, w->tau, w->lapack, w->product, w->exact, w->integers};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        trm_free(all[i]);
}

static trm_status make_work(int64_t rows, int dim, work *w, trm_error *err)
{
    const int64_t widths = most_widths(dim);
    *w = (work){.dim = dim,
                .widths = (int)widths,
                .lapack_size = (int)lapack_size((int)widths),
                .integers_size = (int)integers_size((int)widths)};
    w->n = trm_alloc(rows, sizeof(double));
    w->rest = trm_alloc(rows, sizeof(double));
    w->normals = trm_alloc(dim, sizeof(double));
    w->y = trm_alloc(rows * dim, sizeof(float));
    w->q = trm_alloc(widths * dim, sizeof(float));
    w->turned = trm_alloc(widths * dim, sizeof(float));
    w->z = trm_alloc(rows * widths, sizeof(float));
    w->small = trm_alloc(widths * widths, sizeof(float));
    w->tau = trm_alloc(widths, sizeof(float));
    w->lapack = trm_alloc(w->lapack_size, sizeof(float));
    w->integers = trm_alloc(w->integers_size, sizeof(int));
    w->product = trm_alloc(PROBES * rows, sizeof(float));
    w->exact = trm_alloc(PROBES * rows, sizeof(float));
    if (w->y && w->n && w->rest && w->normals && w->q && w->turned && w->z && w->small && w->tau &&
        w->lapack && w->integers && w->product && w->exact)
        return TRM_OK;
    free_work(w);
    return trm_fail_memory(err, "a sample of rows", rows * (dim + widths), sizeof(float));
}

/* The finite rows, mapped, but those whose products would overflow. */
static void take_rows(const float *sample, const double *norm2, int64_t rows, const trm_map *map, work *w)
{
    for (int64_t i = 0; i < rows; i++) {
        float *y = w->y + (int64_t)w->rows * map->dim;
        const double n = trm_map_row(map, sample + i * map->dim, norm2[i], 0, map->dim, y);
        if (n <= 0x1p60)
            w->n[w->rows++] = n;
    }
}

/* Makes the rows of q orthonormal: as columns of a column-major matrix they are the Q of a QR. */
static bool orthonormalise(work *w)
{
    int info = 0;
    sgeqrf_(&w->dim, &w->widths, w->q, &w->dim, w->tau, w->lapack, &w->lapack_size, &info);
    if (info == 0)
        sorgqr_(&w->dim, &w->widths, &w->widths, w->q, &w->dim, w->tau, w->lapack, &w->lapack_size, &info);
    return info == 0;
}

static void project(work *w)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, w->rows, w->widths, w->dim, 1.0F, w->y, w->dim, w->q,
                w->dim, 0.0F, w->z, w->widths);
}

/* Turns q so that its first rows hold most of the sample, and keeps those; z follows. */
static bool sort_directions(work *w)
{
    const int k = w->widths, dim = w->dim, kept = w->kept;
    int info = 0;
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, k, w->rows, 1.0F, w->z, k, 0.0F, w->small, k);
    /* read by columns it is the upper half; eigenvector j is row j then, and the last has the largest value */
    ssyevd_("V", "U", &k, w->small, &k, w->tau, w->lapack, &w->lapack_size, w->integers, &w->integers_size,
            &info);
    if (info != 0)
        return false;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, kept, dim, k, 1.0F,
                w->small + (int64_t)(k - kept) * k, k, w->q, dim, 0.0F, w->turned, dim);
    for (int j = 0; j < kept; j++)
        memcpy(w->q + (int64_t)j * dim, w->turned + (int64_t)(kept - 1 - j) * dim,
               (size_t)dim * sizeof *w->q);
    w->widths = kept;
    project(w);
    return true;
}

static bool find_random_directions(work *w)
{
    for (int k = 0; k < w->widths; k++) {
        trm_random_normals(1, (uint64_t)k, w->dim, w->normals);
        for (int i = 0; i < w->dim; i++)
            w->q[(int64_t)k * w->dim + i] = (float)w->normals[i];
    }
    bool found = orthonormalise(w);
    for (int i = 0; i < ITERATIONS && found; i++) {
        project(w);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, w->widths, w->dim, w->rows, 1.0F, w->z,
                    w->widths, w->y, w->dim, 0.0F, w->q, w->dim);
        found = orthonormalise(w);
    }
    if (found)
        project(w);
    return found;
}

static bool find_directions(work *w)
{
    if (w->widths < w->dim)
        return find_random_directions(w) && sort_directions(w);
    memset(w->q, 0, (size_t)w->dim * (size_t)w->dim * sizeof *w->q);
    for (int k = 0; k < w->dim; k++)
        w->q[(int64_t)k * w->dim + k] = 1.0F;
    memcpy(w->z, w->y, (size_t)w->rows * (size_t)w->dim * sizeof *w->z);
    return sort_directions(w);
}

/* The part of the probes' pairs that stays below each probe's distance to its nearest row, in units of v, when the
 * products are bounded by the leading directions and the norms of the rest. */
static double part_left(const work *w, int probes, double centre)
{
    const int step = w->rows / probes;
    int64_t left = 0;
    for (int p = 0; p < probes; p++) {
        const float *exact = w->exact + (int64_t)p * w->rows, *product = w->product + (int64_t)p * w->rows;
        const int64_t self = (int64_t)p * step;
        double nearest = INFINITY;
        for (int j = 0; j < w->rows; j++) {
            const double at = centre * (w->n[self] + w->n[j]) / 2.0 - (double)exact[j];
            nearest = j != self && at < nearest ? at : nearest;
        }
        for (int j = 0; j < w->rows; j++) {
            const double bound = (double)product[j] + sqrt(w->rest[self] * w->rest[j]);
            left += j != self && centre * (w->n[self] + w->n[j]) / 2.0 - bound <= nearest;
        }
    }
    return (double)left / probes / (w->rows - 1);
}

/* The width of least cost. A pair costs its columns in the first stage, and what is left of it about twice the
 * dimensions and a constant in the second; either side's window may keep it. */
static void choose_width(work *w, trm_metric metric, trm_basis *basis)
{
    const double centre = metric == TRM_METRIC_SQL2 || metric == TRM_METRIC_L2 ? 1.0 : 0.0;
    const int probes = w->rows < PROBES ? w->rows : PROBES, step = w->rows / probes, rows = w->rows;
    double least = INFINITY;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, probes, rows, w->dim, 1.0F, w->y, step * w->dim,
                w->y, w->dim, 0.0F, w->exact, rows);
    memcpy(w->rest, w->n, (size_t)rows * sizeof *w->rest);
    for (int i = 0, from = 0, to; (to = trm_basis_candidate(basis, i)) != 0; i++, from = to) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, probes, rows, to - from, 1.0F, w->z + from,
                    step * w->widths, w->z + from, w->widths, from > 0 ? 1.0F : 0.0F, w->product, rows);
        for (int j = 0; j < rows; j++) {
            for (int k = from; k < to; k++) {
                const double z = (double)w->z[(int64_t)j * w->widths + k];
                w->rest[j] -= z * z;
            }
            w->rest[j] = w->rest[j] > 0.0 ? w->rest[j] : 0.0;
        }
        const double left = 2.0 * part_left(w, probes, centre);
        const double cost = to + 4.0 + left * (2.0 * w->dim + 1500.0);
        if (cost < least) {
            least = cost;
            basis->width = to;
        }
    }
}

/* The Frobenius norm of Q'Q - I. The canonical dots are off by less than dim 2^-53 each. */
static double measure_defect(const trm_basis *basis)
{
    double sum = 0.0;
    for (int i = 0; i < basis->widths; i++)
        for (int j = 0; j <= i; j++) {
            const double off = fabs(trm_dot(basis->direction + (int64_t)i * basis->dim,
                                            basis->direction + (int64_t)j * basis->dim, basis->dim) -
                                    (i == j)) +
                               basis->dim * 0x1p-52;
            sum += (i == j ? 1.0 : 2.0) * off * off;
        }
    return sqrt(sum) * (1.0 + 0x1p-20);
}

static void set_directions(const work *w, bool found, trm_basis *basis)
{
    for (int i = 0; i < basis->widths; i++)
        for (int k = 0; k < basis->dim; k++)
            basis->direction[(int64_t)i * basis->dim + k] =
                found ? w->q[(int64_t)i * basis->dim + k] : (float)(i == k);
    basis->defect = measure_defect(basis);
}

/* The rows less their mean. */
static void centre(float *y, int rows, int dim)
{
    for (int k = 0; k < dim; k++) {
        double sum = 0.0;
        for (int i = 0; i < rows; i++)
            sum += (double)y[(int64_t)i * dim + k];
        for (int i = 0; i < rows; i++)
            y[(int64_t)i * dim + k] -= (float)(sum / rows);
    }
}

/* Of rows, by their products, the lower half of a rows x rows matrix; infinite where they are too few, or all the same. */
static double directions_of(const float *product, int rows)
{
    double norms = 0.0, squares = 0.0;
    for (int i = 0; i < rows; i++) {
        norms += (double)product[(int64_t)i * rows + i];
        for (int j = 0; j < i; j++) {
            const double both = (double)product[(int64_t)i * rows + j];
            squares += both * both;
        }
    }
    const double mean = norms / rows, mean_square = squares / ((double)rows * (rows - 1) / 2.0);
    return mean_square > 0.0 ? mean * mean / mean_square : INFINITY;
}

trm_status trm_basis_directions(const float *sample, const double *norm2, int64_t rows, const trm_map *map,
                                double *directions, trm_error *err)
{
    const int dim = map->dim, most = rows < LOOK ? (int)rows : LOOK;
    work w = {.dim = dim};
    w.y = trm_alloc((int64_t)most * dim, sizeof(float));
    w.n = trm_alloc(most, sizeof(double));
    w.product = trm_alloc((int64_t)most * most, sizeof(float));
    const bool there = w.y != NULL && w.n != NULL && w.product != NULL;
    *directions = INFINITY;
    for (int64_t i = 0; i < most && there; i++) {
        const int64_t row = i * rows / most;
        take_rows(sample + row * dim, norm2 + row, 1, map, &w);
    }
    if (there && w.rows > 1) {
        centre(w.y, w.rows, dim);
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasNoTrans, w.rows, dim, 1.0F, w.y, dim, 0.0F, w.product,
                    w.rows);
        *directions = directions_of(w.product, w.rows);
    }
    free_work(&w);
    return there ? TRM_OK : trm_fail_memory(err, "a sample of rows", (int64_t)most * dim, sizeof(float));
}

trm_status trm_basis_create(const float *sample, const double *norm2, int64_t rows, const trm_map *map,
                            trm_basis **result, trm_error *err)
{
    const int dim = map->dim, most = trm_basis_most(dim);
    work w;
    *result = NULL;
    trm_basis *basis = trm_alloc_zero(1, sizeof *basis);
    if (basis == NULL)
        return trm_fail_memory(err, "a basis", 1, sizeof *basis);
    *basis = (trm_basis){.dim = dim, .widths = most, .width = 1};
    basis->direction = trm_alloc_zero((int64_t)most * dim, sizeof *basis->direction);
    trm_status status = basis->direction == NULL
                            ? trm_fail_memory(err, "a basis", (int64_t)most * dim, sizeof(float))
                            : make_work(rows, dim, &w, err);
    if (status != TRM_OK) {
        trm_basis_destroy(&basis);
        return status;
    }
    take_rows(sample, norm2, rows, map, &w);
    /* half as many directions as rows, so that the rest of these rows is not much less than that of others */
    if (w.rows / 2 < most)
        basis->widths = w.rows / 2 < 1 ? 1 : w.rows / 2;
    w.kept = basis->widths;
    if (w.widths < dim)
        w.widths = w.kept;
    const bool found = w.rows > 1 && find_directions(&w);
    set_directions(&w, found, basis);
    if (found)
        choose_width(&w, map->metric, basis);
    free_work(&w);
    *result = basis;
    return TRM_OK;
}

void trm_basis_destroy(trm_basis **basis)
{
    if (*basis == NULL)
        return;
    trm_free((*basis)->direction);
    trm_free(*basis);
    *basis = NULL;
}
