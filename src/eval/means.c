/* Micro and macro means; see means.h.
 *
 * The rows of a class are consecutive in the arrangement, so most classes are seen whole by one rank, and then nothing but
 * their means is added up. Of the others the sums so far go to the home of the label in the end. */
#include "eval/means.h"

#include "base/alloc.h"
#include "base/order.h"
#include "base/unit_sum.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums of a class, or of all. */
typedef struct class_sums {
    int64_t label, queries;
    trm_unit_sum sum[TRM_TIES][TRM_SCORES];
} class_sums;

typedef struct trm_macro {
    trm_exact_sum sum[TRM_TIES][TRM_SCORES];
} trm_macro;

struct trm_means {
    MPI_Comm comm;
    const trm_scores *scores;
    bool by_class, table;
    class_sums all, open; /* open: of the class whose queries are coming */
    int64_t open_of;      /* its queries on all ranks */
    class_sums *partial;  /* of classes that this rank saw a part of */
    int64_t partials;
    trm_eval_class *of_class; /* the table */
    int64_t in_table;
    int64_t classes;
    trm_macro macro;
};

int64_t trm_means_bytes(int64_t classes, bool table)
{
    enum { PARTIALS = 64 }; /* one or two a panel */
    const int64_t tables = table ? 2 * classes * (int64_t)sizeof(trm_eval_class) : 0;
    return (int64_t)sizeof(trm_means) + PARTIALS * (int64_t)sizeof(class_sums) + tables;
}

trm_status trm_means_create(MPI_Comm comm, const trm_scores *scores, bool by_class, bool table,
                            trm_means **result, trm_error *err)
{
    trm_means *means = *result = trm_alloc_zero(1, sizeof *means);
    if (means == NULL)
        return trm_fail_memory(err, "means", 1, sizeof *means);
    means->comm = comm;
    means->scores = scores;
    means->by_class = by_class;
    means->table = table;
    return TRM_OK;
}

void trm_means_destroy(trm_means **result)
{
    trm_means *means = *result;
    if (means == NULL)
        return;
    trm_free(means->partial);
    trm_free(means->of_class);
    trm_free(means);
    *result = NULL;
}

/* ---- classes ---- */

static void merge_sums(const trm_means *means, class_sums *into, const class_sums *from)
{
    into->queries += from->queries;
    for (int ties = 0; ties < TRM_TIES; ties++)
        for (int i = 0; i < means->scores->count; i++) {
            const int at = means->scores->place[i];
            trm_unit_sum_merge(&into->sum[ties][at], &from->sum[ties][at]);
        }
}

/* Room for one more of an array, which doubles; NULL where there is no memory. */
static void *with_room(void *array, int64_t count, size_t size)
{
    const bool full = (count & (count - 1)) == 0; /* 0, 1, 2, 4, ... */
    return full ? trm_grown(array, count, count > 0 ? 2 * count : 1, size) : array;
}

static trm_status add_to_table(trm_means *means, const class_sums *sums, trm_error *err)
{
    trm_eval_class *table = with_room(means->of_class, means->in_table, sizeof *table);
    if (table == NULL)
        return trm_fail_memory(err, "classes", 2 * means->in_table, sizeof *table);
    means->of_class = table;
    trm_eval_class *one = &table[means->in_table++];
    one->label = sums->label;
    one->queries = sums->queries;
    trm_scores_clear(&one->value);
    for (int i = 0; i < means->scores->count; i++) {
        const int at = means->scores->place[i];
        trm_scores_array(&one->value)[at] =
            trm_unit_sum_value(&sums->sum[TRM_TIES_BY_ID][at]) / (double)sums->queries;
    }
    return TRM_OK;
}

/* A class of which all queries are in the sums. */
static trm_status finish_class(trm_means *means, const class_sums *sums, trm_error *err)
{
    means->classes++;
    for (int ties = 0; ties < TRM_TIES; ties++)
        for (int i = 0; i < means->scores->count; i++) {
            const int at = means->scores->place[i];
            trm_exact_sum_add(&means->macro.sum[ties][at],
                              trm_unit_sum_value(&sums->sum[ties][at]) / (double)sums->queries);
        }
    return means->table ? add_to_table(means, sums, err) : TRM_OK;
}

static trm_status keep_part(trm_means *means, const class_sums *sums, trm_error *err)
{
    if (means->partials > 0 && means->partial[means->partials - 1].label == sums->label) {
        merge_sums(means, &means->partial[means->partials - 1], sums);
        return TRM_OK;
    }
    class_sums *partial = with_room(means->partial, means->partials, sizeof *partial);
    if (partial == NULL)
        return trm_fail_memory(err, "classes", 2 * means->partials, sizeof *partial);
    means->partial = partial;
    partial[means->partials++] = *sums;
    return TRM_OK;
}

/* The open class, if there is one, is complete, or all that this rank has of it for now. */
static trm_status close_class(trm_means *means, trm_error *err)
{
    class_sums *open = &means->open;
    trm_status status = TRM_OK;
    if (open->queries == 0)
        return TRM_OK;
    merge_sums(means, &means->all, open);
    if (means->by_class)
        status =
            open->queries == means->open_of ? finish_class(means, open, err) : keep_part(means, open, err);
    *open = (class_sums){0};
    return status;
}

trm_status trm_means_add(trm_means *means, int64_t label, int64_t of, const trm_scored *scored,
                         trm_error *err)
{
    class_sums *open = &means->open;
    if (open->queries > 0 && open->label != label) {
        trm_status status = close_class(means, err);
        if (status != TRM_OK)
            return status;
    }
    open->label = label;
    open->queries++;
    means->open_of = of;
    for (int ties = 0; ties < TRM_TIES; ties++)
        for (int i = 0; i < means->scores->count; i++) {
            const int at = means->scores->place[i];
            trm_unit_sum_add(&open->sum[ties][at], scored->value[ties][at]);
        }
    return open->queries == of ? close_class(means, err) : TRM_OK;
}

/* ---- all of them ---- */

/* Parts of classes become whole ones at the homes of their labels. Collective. */
static trm_status join_parts(trm_means *means, trm_error *err)
{
    int ranks;
    MPI_Comm_size(means->comm, &ranks);
    int64_t *counts = trm_alloc_zero(2 * (int64_t)ranks, sizeof *counts), all = 0;
    void *received = NULL;
    trm_status status = counts == NULL ? trm_fail_memory(err, "counts", ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(means->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_by_key(means->comm, means->partial, means->partials, sizeof *means->partial,
                                     counts, counts + ranks, &received, err);
    for (int r = 0; r < ranks && status == TRM_OK; r++)
        all += counts[ranks + r];
    class_sums *part = received;
    if (all > 1)
        qsort(part, (size_t)all, sizeof *part, trm_compare_whole);
    for (int64_t from = 0, to; from < all && status == TRM_OK; from = to) {
        for (to = from + 1; to < all && part[to].label == part[from].label; to++)
            merge_sums(means, &part[from], &part[to]);
        status = finish_class(means, &part[from], err);
    }
    trm_free(received);
    trm_free(counts);
    return trm_agree(means->comm, status, err);
}

static trm_eval_values *values_of(trm_eval_means *means, int ties)
{
    return ties == TRM_TIES_BY_ID ? &means->value : ties == TRM_TIES_AGAINST ? &means->low : &means->high;
}

/* Collective. */
static void put_mean(MPI_Comm comm, trm_exact_sum *sum, int64_t count, double *mean)
{
    trm_merge_exact_sum(comm, sum);
    if (count > 0)
        *mean = trm_exact_sum_value(sum) / (double)count;
}

trm_status trm_means_finish(trm_means *means, trm_eval_summary *summary, trm_error *err)
{
    trm_status status = trm_agree(means->comm, close_class(means, err), err);
    if (status == TRM_OK)
        status = join_parts(means, err);
    if (status != TRM_OK)
        return status;
    summary->queries = trm_sum_int64(means->comm, means->all.queries);
    summary->classes = trm_sum_int64(means->comm, means->classes);
    for (int ties = 0; ties < TRM_TIES; ties++) {
        trm_eval_values *micro = values_of(&summary->micro, ties), *macro = values_of(&summary->macro, ties);
        trm_scores_clear(micro);
        trm_scores_clear(macro);
        for (int i = 0; i < means->scores->count; i++) {
            const int at = means->scores->place[i];
            trm_exact_sum sum;
            trm_exact_sum_clear(&sum);
            trm_unit_sum_fold(&means->all.sum[ties][at], &sum);
            put_mean(means->comm, &sum, summary->queries, &trm_scores_array(micro)[at]);
            put_mean(means->comm, &means->macro.sum[ties][at], summary->classes,
                     &trm_scores_array(macro)[at]);
        }
    }
    return TRM_OK;
}

const trm_eval_class *trm_means_table(const trm_means *means, int64_t *count)
{
    *count = means->in_table;
    return means->of_class;
}
