/* Random runs of mining jobs; see mined.h. */
#include "support/mined.h"

#include "support/reference.h"
#include "support/scratch.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENLY, ON_ONE, ONE_EACH, RAGGEDLY, DEALS = 6 }; /* the rest raggedly, too */

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static int a_divisor(test_random *random)
{
    int divisor;
    do
        divisor = 1 + (int)test_random_below(random, ranks);
    while (ranks % divisor != 0);
    return divisor;
}

void random_run_draw(test_random *random, random_run *run)
{
    trm_run_options_init(&run->options);
    run->options.kernel = test_random_below(random, 2) ? "fp32" : "blas";
    run->options.threads = 1 + (int)test_random_below(random, 3);
    run->options.tile = test_random_below(random, 2) ? 32 : 64;
    run->options.replicate = a_divisor(random);
    run->deal = (int)test_random_below(random, DEALS);
}

void random_run_describe(const random_run *run)
{
    fprintf(stderr, "  ranks %d, deal %d, kernel %s, threads %d, tile %d, replicate %d\n", ranks, run->deal,
            run->options.kernel, run->options.threads, run->options.tile, run->options.replicate);
}

void random_run_deal(test_random *random, const random_run *run, int64_t rows, int64_t *first)
{
    const int64_t owner = test_random_below(random, ranks);
    first[0] = 0;
    first[ranks] = rows;
    for (int r = 1; r < ranks; r++) {
        if (run->deal == EVENLY)
            first[r] = rows * r / ranks;
        else if (run->deal == ON_ONE)
            first[r] = r > owner ? rows : 0;
        else if (run->deal == ONE_EACH) /* the rest on the last */
            first[r] = r < rows ? r : rows;
        else
            first[r] = test_random_below(random, rows + 1);
    }
    for (int i = 1; i < ranks; i++)
        for (int j = i; j > 1 && first[j] < first[j - 1]; j--) {
            const int64_t start = first[j];
            first[j] = first[j - 1];
            first[j - 1] = start;
        }
}

/* A trm_triplet_fn. */
static trm_status put_in(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    mined *into = context;
    (void)err;
    if (into->count + count > into->room) {
        into->room = 2 * (into->count + count);
        into->triplets = realloc(into->triplets, (size_t)into->room * sizeof *into->triplets);
        if (!into->triplets)
            abort();
    }
    for (int64_t i = 0; i < count; i++) {
        if (i > 0 && reference_compare_triplets(&(*triplets)[i - 1], &(*triplets)[i]) >= 0)
            into->unsorted = 1;
        into->triplets[into->count++] = (*triplets)[i];
    }
    return TRM_OK;
}

/* All ranks' triplets on rank 0, sorted. Collective. */
static void gather(mined *out)
{
    const int mine = (int)(out->count * (int64_t)sizeof(trm_triplet));
    int *sizes = calloc((size_t)ranks, sizeof *sizes);
    int *starts = calloc((size_t)ranks, sizeof *starts);
    if (!sizes || !starts)
        abort();
    must(MPI_Gather(&mine, 1, MPI_INT, sizes, 1, MPI_INT, 0, MPI_COMM_WORLD));
    int total = 0;
    for (int r = 0; r < ranks; r++) {
        starts[r] = total;
        total += sizes[r];
    }
    trm_triplet *all = malloc((size_t)total + 1);
    if (!all)
        abort();
    must(MPI_Gatherv(out->triplets, mine, MPI_BYTE, all, sizes, starts, MPI_BYTE, 0, MPI_COMM_WORLD));
    must(MPI_Allreduce(MPI_IN_PLACE, &out->unsorted, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD));
    free(out->triplets);
    out->triplets = all;
    out->count = out->room = total / (int)sizeof(trm_triplet);
    if (out->count > 0)
        qsort(all, (size_t)out->count, sizeof *all, reference_compare_triplets);
    free(sizes);
    free(starts);
}

trm_status mined_run(const random_store *store, const random_run *how, const int64_t *first,
                     const trm_mine_options *options, mined *out, trm_mine_summary *summary, trm_error *err)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    const int64_t start = first[rank], count = first[rank + 1] - first[rank];
    *out = (mined){0};
    trm_status status = trm_run_create(MPI_COMM_WORLD, &how->options, &run, err);
    if (status == TRM_OK)
        status = trm_rows_create(run, count, store->dim, store->embeddings + start * store->dim,
                                 store->labels + start, store->ignore_count, store->ignore_label, &rows, err);
    if (status == TRM_OK)
        status = trm_mine(run, rows, options, put_in, out, summary, NULL, err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    gather(out);
    return status;
}

void mined_destroy(mined *out)
{
    free(out->triplets);
    *out = (mined){0};
}

static void describe_triplet(const char *who, const trm_triplet *t)
{
    fprintf(stderr, "  %s (%lld, %lld, %lld) d_ap %a d_an %a kind %lld rank %lld\n", who,
            (long long)t->anchor, (long long)t->positive, (long long)t->negative, t->d_ap, t->d_an,
            (long long)t->kind, (long long)t->rank);
}

const char *mined_differs(const mined *got, const trm_triplet *want, int64_t count)
{
    const int64_t common = count < got->count ? count : got->count;
    for (int64_t i = 0; i < common; i++)
        if (memcmp(&want[i], &got->triplets[i], sizeof(trm_triplet)) != 0) {
            describe_triplet("want", &want[i]);
            describe_triplet("got ", &got->triplets[i]);
            return "a triplet differs";
        }
    if (count != got->count)
        return "the number of triplets differs";
    return got->unsorted ? "a rank's triplets were not sorted" : NULL;
}
