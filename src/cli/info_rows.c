/* Rows and labels of a set, looked at; see info.h. */
#include "cli/info.h"

#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <math.h>
#include <stdlib.h>

static int compare_labels(const void *a, const void *b)
{
    const trm_info_class *x = a, *y = b;
    return x->label < y->label ? -1 : x->label > y->label;
}

/* Sorts and adds up equal labels; returns how many are left. */
static int64_t merge_classes(trm_info_class *classes, int64_t count)
{
    int64_t kept = 0;
    if (count > 1)
        qsort(classes, (size_t)count, sizeof *classes, compare_labels);
    for (int64_t i = 0; i < count; i++) {
        if (kept > 0 && classes[kept - 1].label == classes[i].label)
            classes[kept - 1].rows += classes[i].rows;
        else
            classes[kept++] = classes[i];
    }
    return kept;
}

static void look_at_row(trm_info_set *set, const float *x, int dim, int64_t row)
{
    const double norm = sqrt(trm_dot(x, x, dim));
    if (!isfinite(norm)) {
        set->non_finite++;
        set->first_non_finite = row < set->first_non_finite ? row : set->first_non_finite;
        return;
    }
    set->finite++;
    if (norm == 0.0) {
        set->zero_norm++;
        set->first_zero = row < set->first_zero ? row : set->first_zero;
    }
    set->norm_min = fmin(set->norm_min, norm);
    set->norm_max = fmax(set->norm_max, norm);
    trm_exact_sum_add(&set->norm_sum, norm);
}

/* This rank's part, where it is read to, and the ranks it is one of. */
typedef struct part {
    MPI_Comm comm;
    int ranks;
    int64_t first, last, piece;
    float *x;
    int64_t *labels;         /* NULL: there are none */
    trm_info_class *classes; /* one a row, with labels */
} part;

/* Reads this rank's part in pieces; every rank takes part in every piece. */
static trm_status read_rows(const part *of, trm_store *store, trm_info_set *set, trm_error *err)
{
    trm_read_options options;
    const int dim = trm_store_dim(store);
    const int64_t longest = (set->total + of->ranks - 1) / of->ranks;
    trm_read_options_init(&options);
    options.accept_non_finite = true;
    trm_status status = TRM_OK;
    for (int64_t done = 0; done < longest && status == TRM_OK; done += of->piece) {
        const int64_t at = of->first + done < of->last ? of->first + done : of->last,
                      count = of->last - at < of->piece ? of->last - at : of->piece;
        status = trm_store_read(store, at, count, &options, of->x, of->labels, NULL, err);
        for (int64_t i = 0; i < count && status == TRM_OK; i++) {
            look_at_row(set, of->x + i * dim, dim, at + i);
            if (of->labels != NULL)
                of->classes[at - of->first + i] = (trm_info_class){of->labels[i], 1};
        }
    }
    return status;
}

/* Brings the classes of all ranks to rank 0. Collective. */
static trm_status gather_classes(const part *of, trm_info_set *set, trm_error *err)
{
    int64_t *counts = trm_alloc_zero(2 * (int64_t)of->ranks, sizeof *counts);
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "counts of classes", of->ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(of->comm, status, err);
    if (status == TRM_OK) {
        counts[0] = merge_classes(of->classes, of->last - of->first);
        status = trm_exchange_items(of->comm, of->classes, counts, sizeof *of->classes,
                                    (void **)&set->classes, counts + of->ranks, err);
    }
    for (int r = 0; r < of->ranks && status == TRM_OK; r++)
        set->class_count += counts[of->ranks + r];
    if (status == TRM_OK)
        set->class_count = merge_classes(set->classes, set->class_count);
    trm_free(counts);
    return status;
}

static void merge_facts(MPI_Comm comm, trm_info_set *set)
{
    int64_t sums[] = {set->finite, set->non_finite, set->zero_norm};
    MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_INT64_T, MPI_SUM, comm);
    set->finite = sums[0];
    set->non_finite = sums[1];
    set->zero_norm = sums[2];
    MPI_Allreduce(MPI_IN_PLACE, &set->first_non_finite, 1, MPI_INT64_T, MPI_MIN, comm);
    MPI_Allreduce(MPI_IN_PLACE, &set->first_zero, 1, MPI_INT64_T, MPI_MIN, comm);
    MPI_Allreduce(MPI_IN_PLACE, &set->norm_min, 1, MPI_DOUBLE, MPI_MIN, comm);
    MPI_Allreduce(MPI_IN_PLACE, &set->norm_max, 1, MPI_DOUBLE, MPI_MAX, comm);
    trm_merge_exact_sum(comm, &set->norm_sum);
    if (set->finite == 0)
        set->norm_min = set->norm_max = 0.0;
    else
        set->norm_mean = trm_exact_sum_value(&set->norm_sum) / (double)set->finite;
}

trm_status trm_info_look(MPI_Comm comm, trm_store *store, bool labelled, int64_t first, int64_t total,
                         trm_info_set *set, trm_error *err)
{
    const int dim = trm_store_dim(store), rank = trm_rank_of(comm);
    *set = (trm_info_set){.first = first,
                          .total = total,
                          .norm_min = INFINITY,
                          .first_non_finite = INT64_MAX,
                          .first_zero = INT64_MAX};
    part of = {.comm = comm, .piece = (INT64_C(16) << 20) / dim + 1};
    MPI_Comm_size(comm, &of.ranks);
    trm_share(total, rank, of.ranks, &of.first, &of.last);
    of.first += first;
    of.last += first;
    of.x = trm_alloc(of.piece * dim, sizeof *of.x);
    of.labels = labelled ? trm_alloc(of.piece, sizeof *of.labels) : NULL;
    of.classes = labelled ? trm_alloc(of.last - of.first, sizeof *of.classes) : NULL;
    trm_status status = TRM_OK;
    if (of.x == NULL || (labelled && (of.labels == NULL || of.classes == NULL)))
        status = trm_fail_memory(err, "rows", of.piece, (size_t)dim * sizeof *of.x);
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = read_rows(&of, store, set, err);
    if (status == TRM_OK && labelled)
        status = gather_classes(&of, set, err);
    if (status == TRM_OK)
        merge_facts(comm, set);
    trm_free(of.x);
    trm_free(of.labels);
    trm_free(of.classes);
    return status;
}
