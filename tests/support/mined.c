/* Random runs of mining jobs; see mined.h. */
#include "support/mined.h"

#include "mine/options.h"
#include "support/reference.h"
#include "support/scratch.h"

#include <math.h>
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
    run->options.kernel = test_random_kernel(random);
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

trm_status mined_run_sets(const random_sets *sets, const random_run *how, const int64_t *queries_first,
                          const int64_t *store_first, const int64_t *pairs_first, trm_mine_options *options,
                          mined *out, trm_mine_summary *summary, trm_error *err)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    const random_store *q = &sets->queries, *s = &sets->store;
    const int64_t q_start = queries_first[rank], q_count = queries_first[rank + 1] - q_start;
    const int64_t s_start = store_first[rank], s_count = store_first[rank + 1] - s_start;
    const int64_t p_start = pairs_first[rank], p_count = pairs_first[rank + 1] - p_start;
    int64_t *query = calloc((size_t)p_count + 1, sizeof *query),
            *positive = calloc((size_t)p_count + 1, sizeof *positive);
    if (!query || !positive)
        abort();
    for (int64_t i = 0; i < p_count; i++) {
        query[i] = sets->pair[p_start + i].query;
        positive[i] = sets->pair[p_start + i].positive;
    }
    const trm_pair_list list = {p_count, query, positive};
    const float *x = s->embeddings + s_start * s->dim;
    *out = (mined){0};
    trm_status status = trm_run_create(MPI_COMM_WORLD, &how->options, &run, err);
    if (status == TRM_OK && sets->listed)
        status = trm_rows_create_by_id(run, s_count, s->dim, x, sets->labelled ? s->labels + s_start : NULL,
                                       &rows, err);
    else if (status == TRM_OK)
        status = trm_rows_create(run, s_count, s->dim, x, s->labels + s_start, s->ignore_count,
                                 s->ignore_label, &rows, err);
    if (status == TRM_OK)
        status = trm_rows_create_queries(run, rows, q_count, q->embeddings + q_start * q->dim,
                                         sets->labelled ? q->labels + q_start : NULL, &queries, err);
    options->queries = queries;
    options->pairs = sets->listed ? &list : NULL;
    options->and_labels = sets->and_labels;
    if (status == TRM_OK)
        status = trm_mine(run, rows, options, put_in, out, summary, NULL, err);
    options->queries = NULL;
    options->pairs = NULL;
    trm_rows_destroy(&queries);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    free(query);
    free(positive);
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

/* ---- the family ---- */

bool mined_has_ranks(const family_options *options)
{
    return options->rank_from > 1 || options->rank_to < INT64_MAX || options->rank_order_after;
}

static int value_of(const trm_words *words, const char *word)
{
    const trm_word *found = trm_word_find(words, word, strlen(word));
    return found != NULL ? found->value : 0;
}

static double value_or_nan(family_filter filter)
{
    return filter.given ? filter.value : NAN;
}

trm_mine_options mined_options(const family_options *family, char ranks_text[MINED_RANKS])
{
    trm_mine_options options;
    trm_mine_options_init(&options);
    options.metric = family->metric;
    options.margin = family->margin;
    options.seed = family->seed;
    options.lone = family->lone;
    options.positives = family->positives;
    options.negatives = family->negatives;
    options.window = (trm_window)value_of(&trm_window_words, family->window);
    options.pick = (trm_pick)value_of(&trm_pick_words, family->pick);
    options.fallback = (trm_fallback)value_of(&trm_fallback_words, family->fallback);
    options.min_distance = value_or_nan(family->filter[FAMILY_MIN_DISTANCE]);
    options.max_distance = value_or_nan(family->filter[FAMILY_MAX_DISTANCE]);
    options.absolute_margin = value_or_nan(family->filter[FAMILY_ABSOLUTE_MARGIN]);
    options.relative_margin = value_or_nan(family->filter[FAMILY_RELATIVE_MARGIN]);
    options.not_near_positive = value_or_nan(family->filter[FAMILY_NOT_NEAR_POSITIVE]);
    options.rank_order = family->rank_order_after ? TRM_RANK_AFTER : TRM_RANK_BEFORE;
    if (family->rank_to < INT64_MAX)
        snprintf(ranks_text, MINED_RANKS, "%lld-%lld", (long long)family->rank_from,
                 (long long)family->rank_to);
    else
        snprintf(ranks_text, MINED_RANKS, "%lld-", (long long)family->rank_from);
    if (mined_has_ranks(family))
        options.ranks = ranks_text;
    return options;
}

const char *mined_differing_count(const family_result *want, const trm_mine_summary *got, bool set,
                                  bool listed)
{
    const int64_t total = listed ? want->total : 0;
#define DIFFERS(wanted, field)                                                                               \
    if ((wanted) != got->field)                                                                              \
    return #field
    DIFFERS(want->anchors.total, anchors.total);
    DIFFERS(want->anchors.valid, anchors.valid);
    DIFFERS(want->anchors.no_positive, anchors.no_positive);
    DIFFERS(want->anchors.no_negative, anchors.no_negative);
    DIFFERS(want->anchors.ignored, anchors.ignored);
    DIFFERS(want->repeated_pairs, repeated_pairs);
    DIFFERS(want->positive_pairs, positive_pairs);
    DIFFERS(total, triplets.total);
    DIFFERS(want->fallback, triplets.fallback);
    DIFFERS(total - want->fallback, triplets.semihard); /* kind 0 */
    DIFFERS(set ? want->total : 0, set_size);
    DIFFERS(want->skipped, triplets.skipped);
    DIFFERS(want->anchors.fell_short, filters.short_anchors);
    for (int f = 0; f < TRM_FILTERS; f++)
        DIFFERS(want->removed[f], filters.removed[f]); /* both in the order in which they are charged */
#undef DIFFERS
    return NULL;
}
