/* The sample travels to rank 0, and the basis from there: bases that two machines make of the same rows may differ in
 * the last bits, and then packed rows would not fit each other. */
#include "sweep/basis.h"

#include "base/alloc.h"
#include "par/agree.h"

#include <math.h>
#include <string.h>

/* The rows of a sample that a rank gives: the i-th is at arranged place i total / count of one set after the other. */
typedef struct sample {
    int64_t total, count;
    float *x;
    double *norm2;
} sample;

/* The first of the sample at that place or behind it. */
static int64_t first_at(const sample *s, int64_t place)
{
    return s->total > 0 ? (place * s->count + s->total - 1) / s->total : 0;
}

/* What this rank has of a set, which begins at place base: copied to x, or only counted. One member of a team gives. */
static int64_t take(const sample *s, const trm_rows *rows, int64_t base, float *x, double *norm2)
{
    if (rows->member != 0)
        return 0;
    const int64_t from = first_at(s, base + rows->first), to = first_at(s, base + rows->first + rows->count);
    for (int64_t i = from; i < to && x != NULL; i++) {
        const int64_t row = i * s->total / s->count - base - rows->first;
        memcpy(x + (i - from) * rows->dim, rows->x + row * rows->dim, (size_t)rows->dim * sizeof *x);
        norm2[i - from] = rows->norm2[row];
    }
    return to - from;
}

/* One set's part goes to rank 0, each rank's to its own place there. */
static trm_status gather_set(const trm_run *run, const sample *s, const trm_rows *rows, int64_t base,
                             trm_error *err)
{
    const int dim = rows->dim;
    const bool root = run->rank == 0;
    const int64_t mine = take(s, rows, base, NULL, NULL);
    int part[2] = {(int)mine, (int)first_at(s, base + rows->first)};
    int *parts = root ? trm_alloc(4 * (int64_t)run->ranks, sizeof *parts) : NULL;
    float *x = trm_alloc(mine * dim, sizeof *x);
    double *norm2 = trm_alloc(mine, sizeof *norm2);
    trm_status status =
        x == NULL || norm2 == NULL || (root && parts == NULL)
            ? trm_fail_memory(err, "a sample of rows", mine * dim + 4 * (int64_t)run->ranks, sizeof *x)
            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK) {
        take(s, rows, base, x, norm2);
        MPI_Datatype row;
        MPI_Type_contiguous(dim, MPI_FLOAT, &row);
        MPI_Type_commit(&row);
        int *counts = parts, *places = root ? parts + run->ranks : NULL,
            *both = root ? parts + 2 * run->ranks : NULL;
        MPI_Gather(part, 2, MPI_INT, both, 2, MPI_INT, 0, run->comm);
        for (int i = 0; root && i < run->ranks; i++) {
            counts[i] = both[2 * i];
            places[i] = both[2 * i + 1];
        }
        MPI_Gatherv(x, part[0], row, s->x, counts, places, row, 0, run->comm);
        MPI_Gatherv(norm2, part[0], MPI_DOUBLE, s->norm2, counts, places, MPI_DOUBLE, 0, run->comm);
        MPI_Type_free(&row);
    }
    trm_free(parts);
    trm_free(x);
    trm_free(norm2);
    return status;
}

static trm_status gather(const trm_run *run, sample *s, const trm_rows *rows, const trm_rows *other,
                         trm_error *err)
{
    const int64_t there = run->rank == 0 ? s->count : 0;
    s->x = trm_alloc(there * rows->dim, sizeof *s->x);
    s->norm2 = trm_alloc(there, sizeof *s->norm2);
    trm_status status = s->x == NULL || s->norm2 == NULL
                            ? trm_fail_memory(err, "a sample of rows", there * rows->dim, sizeof *s->x)
                            : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = gather_set(run, s, rows, 0, err);
    if (status == TRM_OK && other != rows)
        status = gather_set(run, s, other, rows->total, err);
    return status;
}

static void share(const trm_run *run, trm_basis *basis)
{
    int widths[] = {basis->widths, basis->width};
    MPI_Bcast(widths, 2, MPI_INT, 0, run->comm);
    basis->widths = widths[0];
    basis->width = widths[1];
    MPI_Bcast(&basis->defect, 1, MPI_DOUBLE, 0, run->comm);
    MPI_Bcast(basis->direction, basis->widths * basis->dim, MPI_FLOAT, 0, run->comm);
}

/* Of the stores that were measured it was the fastest where rows lie in D/3.3 directions or fewer, and was not at D/1.4 and more;
 * where a kernel leads that looks at all dimensions in small whole numbers, at D/8 or fewer, and was not at D/3.3. */
bool trm_sweep_basis_promises(const trm_run *run, double directions, int dim)
{
    const double few = run->leading != 0 ? 0.2 : 0.4;
    return directions <= few * dim;
}

/* Do few directions hold most of the rows? */
static trm_status lie_near_few(const trm_run *run, const sample *s, const trm_map *map, bool *near,
                               trm_error *err)
{
    double directions = INFINITY;
    trm_status status = TRM_OK;
    if (run->rank == 0)
        status = trm_basis_directions(s->x, s->norm2, s->count, map, &directions, err);
    status = trm_agree(run->comm, status, err);
    MPI_Bcast(&directions, 1, MPI_DOUBLE, 0, run->comm);
    *near = trm_sweep_basis_promises(run, directions, map->dim);
    return status;
}

trm_status trm_sweep_basis(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                           const trm_map *map, bool if_few, trm_basis **basis, trm_error *err)
{
    sample s = {.total = rows->total + (other != rows ? other->total : 0)};
    s.count = trm_basis_sample(s.total, map->dim);
    *basis = NULL;
    trm_status status = gather(run, &s, rows, other, err);
    bool makes = true;
    if (status == TRM_OK && if_few)
        status = lie_near_few(run, &s, map, &makes, err);
    if (status == TRM_OK && makes) {
        /* without rows on the others: a place for what they are sent */
        status = trm_basis_create(s.x, s.norm2, run->rank == 0 ? s.count : 0, map, basis, err);
        status = trm_agree(run->comm, status, err);
    }
    if (status == TRM_OK && makes)
        share(run, *basis);
    else
        trm_basis_destroy(basis);
    trm_free(s.x);
    trm_free(s.norm2);
    return status;
}

int64_t trm_sweep_basis_bytes(int64_t rows, int dim)
{
    const int64_t count = trm_basis_sample(rows, dim);
    return trm_basis_scratch_bytes(count, dim) + count * (2 * dim * (int64_t)sizeof(float) + 16);
}
