/* trm_evaluate against the brute-force losses on random small stores, any number of ranks (more than rows,
 * too), every source, metric, loss and reduction: sums, counts and means to the bit; gradients of lists to
 * the bit, of whole-store losses to rounding (their terms are added in another order). A failure prints the
 * case's number, which is its seed; TRIMINE_TEST_CASE runs that one. */
#include "support/random_store.h"
#include "support/reference_loss.h"
#include "support/rounds.h"
#include "trimine/loss.h"
#include "trimine/run.h"

#include <math.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The kinds of a case: sources, one of them in two ways. Twice the product of the rules. */
enum { MINED, GIVEN, HARD, HARD_LONE, ALL, WITHIN, KINDS };
enum { ROUND = KINDS * 4, CASES = 2 * ROUND * 2 * 2 * 5, DEALS = 5, MOST_ROWS_OF_WHOLE = 70 };
static const trm_source sources[KINDS] = {TRM_SOURCE_MINED,      TRM_SOURCE_GIVEN,     TRM_SOURCE_BATCH_HARD,
                                          TRM_SOURCE_BATCH_HARD, TRM_SOURCE_BATCH_ALL, TRM_SOURCE_WITHIN};
static const char *const kind_names[KINDS] = {"mined",           "given",     "batch-hard",
                                              "batch-hard lone", "batch-all", "within"};

static int rank, ranks;

static void must(int status)
{
    if (status != MPI_SUCCESS)
        MPI_Abort(MPI_COMM_WORLD, 1);
}

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return memory;
}

static int everywhere(int bad)
{
    must(MPI_Allreduce(MPI_IN_PLACE, &bad, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD));
    return bad;
}

/* ---- who has what ---- */

static int compare_int64(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Where each rank's part of count items begins: first[0..ranks], by one of several ways to deal. */
static int64_t *deal(test_random *random, int64_t count)
{
    int64_t *first = need(ranks + 1, sizeof *first);
    const int way = (int)test_random_below(random, DEALS);
    const int64_t owner = test_random_below(random, ranks);
    first[ranks] = count;
    for (int r = 1; r < ranks; r++) {
        if (way == 0) /* evenly */
            first[r] = count * r / ranks;
        else if (way == 1) /* all on one */
            first[r] = r > owner ? count : 0;
        else if (way == 2) /* one each, the rest on the last */
            first[r] = r < count ? r : count;
        else /* raggedly, some with nothing */
            first[r] = test_random_below(random, count + 1);
    }
    qsort(first, (size_t)ranks + 1, sizeof *first, compare_int64);
    return first;
}

/* Triplets, whole and on every rank; what a rank gives is dealt out of them. */
typedef struct list {
    int64_t count;
    int64_t *anchor, *positive, *negative;
} list;

static void create_list(int64_t count, list *made)
{
    made->count = count;
    made->anchor = need(3 * count, sizeof *made->anchor);
    made->positive = made->anchor + count;
    made->negative = made->positive + count;
}

typedef struct job {
    trm_run_options run;
    trm_evaluate_options evaluate;
    bool normalize, gradient;
    list triplets;
    int64_t *first_row, *first_triplet;
} job;

static void destroy_job(job *j)
{
    free(j->triplets.anchor);
    free(j->first_row);
    free(j->first_triplet);
}

/* ---- running ---- */

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_mine_summary mined;
    trm_loss_summary summary;
    trm_loss_part part;
    bool unlike;           /* the summary is not the same on all ranks */
    float *gradient;       /* this rank's, then on rank 0 all rows' */
    trm_triplet *triplets; /* this rank's, then on rank 0 all, sorted */
    int64_t count;
    double loss_sums, loss_sizes, squares; /* of all parts: loss_sum, its magnitude, gradient_norm squared */
    int64_t part_triplets;
} outcome;

static trm_status keep(void *context, trm_triplet **mined, int64_t count, trm_error *err)
{
    (void)err;
    const trm_triplet *triplets = *mined;
    outcome *o = context;
    o->triplets = realloc(o->triplets, (size_t)(o->count + count + 1) * sizeof *o->triplets);
    if (!o->triplets)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (count > 0)
        memcpy(o->triplets + o->count, triplets, (size_t)count * sizeof *triplets);
    o->count += count;
    return TRM_OK;
}

/* All ranks' bytes one after the other, on rank 0 (elsewhere nothing); frees mine. */
static void *gather(void *mine, int64_t bytes, int64_t *total)
{
    int *sizes = need(2 * ranks, sizeof *sizes), *starts = sizes + ranks, own = (int)bytes, all = 0;
    must(MPI_Gather(&own, 1, MPI_INT, sizes, 1, MPI_INT, 0, MPI_COMM_WORLD));
    for (int r = 0; r < ranks; r++) {
        starts[r] = all;
        all += sizes[r];
    }
    void *gathered = need(all, 1);
    must(MPI_Gatherv(mine, own, MPI_BYTE, gathered, sizes, starts, MPI_BYTE, 0, MPI_COMM_WORLD));
    free(mine);
    free(sizes);
    *total = all;
    return gathered;
}

static void gather_outcome(const random_store *store, const job *j, outcome *o)
{
    int64_t bytes;
    const int64_t rows = j->first_row[rank + 1] - j->first_row[rank];
    o->gradient = gather(o->gradient, rows * store->dim * (int64_t)sizeof(float), &bytes);
    o->triplets = gather(o->triplets, o->count * (int64_t)sizeof(trm_triplet), &bytes);
    o->count = bytes / (int64_t)sizeof(trm_triplet);
    if (o->count > 0)
        qsort(o->triplets, (size_t)o->count, sizeof *o->triplets, reference_compare_triplets);
    double sums[3] = {o->part.loss_sum, fabs(o->part.loss_sum),
                      o->part.gradient_norm * o->part.gradient_norm};
    must(MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD));
    o->loss_sums = sums[0];
    o->loss_sizes = sums[1];
    o->squares = sums[2];
    must(MPI_Allreduce(&o->part.triplets, &o->part_triplets, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD));
    trm_loss_summary first = o->summary;
    must(MPI_Bcast(&first, (int)sizeof first, MPI_BYTE, 0, MPI_COMM_WORLD));
    int unlike = memcmp(&first, &o->summary, sizeof first) != 0;
    o->unlike = everywhere(unlike) > 0;
}

/* The rows as dealt; norms NULL or of all rows. What it finds is complete on rank 0. Collective. */
static void evaluate(const random_store *store, const job *j, const double *norms, outcome *o)
{
    *o = (outcome){.err = TRM_ERROR_INIT};
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    const int64_t first = j->first_row[rank], count = j->first_row[rank + 1] - first;
    const int64_t from = j->first_triplet[rank];
    trm_evaluate_options options = j->evaluate;
    options.given = (trm_given_triplets){j->first_triplet[rank + 1] - from, j->triplets.anchor + from,
                                         j->triplets.positive + from, j->triplets.negative + from};
    const trm_batch batch = {count, store->dim, store->embeddings + first * store->dim, store->labels + first,
                             norms ? norms + first : NULL};
    o->gradient = need(count * store->dim, sizeof *o->gradient);
    memset(o->gradient, 0xff, (size_t)(count * store->dim) * sizeof *o->gradient); /* not a number */
    o->status = trm_run_create(MPI_COMM_WORLD, &j->run, &run, &o->err);
    if (o->status == TRM_OK)
        o->status = trm_rows_create(run, count, store->dim, batch.embeddings, batch.labels,
                                    store->ignore_count, store->ignore_label, &rows, &o->err);
    if (o->status == TRM_OK)
        o->status = trm_evaluate(run, rows, &batch, &options, keep, o, j->gradient ? o->gradient : NULL,
                                 &o->mined, &o->summary, &o->part, &o->err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
}

static void destroy_outcome(outcome *o)
{
    free(o->gradient);
    free(o->triplets);
}

/* ---- comparing, on rank 0 ---- */

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool close_to(double a, double b, double relative)
{
    return fabs(a - b) <= relative * fabs(b) || same_bits(a, b);
}

/* The first number that differs, or NULL. */
static const char *differing_number(const reference_loss *want, const trm_loss_summary *got)
{
#define DIFFERS(field, equal)                                                                                \
    if (!(equal))                                                                                            \
    return fprintf(stderr, "  want %a, got %a\n", (double)want->field, (double)got->field), #field
    DIFFERS(count, want->count == got->count);
    DIFFERS(active, want->active == got->active);
    DIFFERS(valid, want->valid == got->valid);
    DIFFERS(rows, want->rows == got->rows);
    DIFFERS(sum, same_bits(want->sum, got->sum));
    DIFFERS(mean_all, same_bits(want->mean_all, got->mean_all));
    DIFFERS(mean_nonzero, same_bits(want->mean_nonzero, got->mean_nonzero));
    DIFFERS(mean_valid, same_bits(want->mean_valid, got->mean_valid));
    DIFFERS(mean_rows, same_bits(want->mean_rows, got->mean_rows));
    DIFFERS(value, same_bits(want->value, got->value));
#undef DIFFERS
    return NULL;
}

/* Exactly the float32 nearest the sum, or (whole-store losses) what adding in any order may give. */
static bool right_element(const reference_loss *want, int64_t k, float got, bool exactly)
{
    const float rounded = (float)want->gradient[k];
    if (exactly)
        return memcmp(&rounded, &got, sizeof got) == 0;
    /* rounding to float32, and that of as many additions and products, twice */
    const double tolerance = 0x1p-23 * fabs(want->gradient[k]) + 0x1p-149 +
                             0x1p-51 * (double)(want->rows + want->dim) * want->size[k / want->dim];
    return fabs((double)got - want->gradient[k]) <= tolerance;
}

static const char *differing_gradient(const reference_loss *want, const outcome *got, bool exactly)
{
    double largest = 0.0, squares = 0.0;
    for (int64_t k = 0; k < want->rows * want->dim; k++) {
        const double g = (double)got->gradient[k];
        if (!right_element(want, k, got->gradient[k], exactly)) {
            fprintf(stderr, "  row %lld, element %lld: want %a, got %a, row's size %g\n",
                    (long long)(k / want->dim), (long long)(k % want->dim), want->gradient[k], g,
                    want->size[k / want->dim]);
            return "the gradient differs";
        }
        largest = fmax(largest, fabs(g));
        squares += g * g;
    }
    if (!same_bits(got->summary.gradient_max_abs, largest))
        return "gradient_max_abs differs";
    if (!close_to(got->summary.gradient_norm, sqrt(squares), 1e-12))
        return "gradient_norm differs";
    if (!close_to(sqrt(got->squares), got->summary.gradient_norm, 1e-12))
        return "the parts' gradient_norm don't add up";
    return NULL;
}

static const char *differing_list(const reference_loss *want, const outcome *got, bool emitted, bool given)
{
    if (!emitted)
        return got->count == 0 ? NULL : "triplets were emitted that are no list";
    if (got->count != want->count)
        return "the number of emitted triplets differs";
    trm_triplet *wanted = calloc((size_t)want->count + 1, sizeof *wanted);
    if (wanted == NULL)
        return "out of memory";
    for (int64_t k = 0; k < want->count; k++) {
        wanted[k] = want->terms[k].triplet;
        if (given) /* of which nothing else is known */
            wanted[k].rank = 1;
    }
    qsort(wanted, (size_t)want->count, sizeof *wanted, reference_compare_triplets); /* as those that we got */
    const bool same =
        want->count == 0 || memcmp(wanted, got->triplets, (size_t)want->count * sizeof *wanted) == 0;
    free(wanted);
    return same ? NULL : "an emitted triplet differs";
}

static const char *compare(const reference_loss *want, const outcome *got, const job *j)
{
    const trm_source source = j->evaluate.source;
    const bool emitted = source != TRM_SOURCE_BATCH_ALL && source != TRM_SOURCE_WITHIN;
    const char *wrong = differing_number(want, &got->summary);
    if (!wrong)
        wrong = differing_list(want, got, emitted, source == TRM_SOURCE_GIVEN);
    if (!wrong && j->gradient)
        wrong = differing_gradient(want, got, emitted);
    if (!wrong && !j->gradient &&
        !(same_bits(got->summary.gradient_norm, 0.0) && same_bits(got->summary.gradient_max_abs, 0.0)))
        wrong = "there is a gradient_norm without a gradient";
    if (!wrong && got->part_triplets != want->count)
        wrong = "the parts' triplets don't add up";
    if (!wrong && !(fabs(got->loss_sums - want->sum) <= 1e-15 * (double)ranks * got->loss_sizes))
        wrong = "the parts' loss_sum don't add up";
    if (!wrong && got->mined.anchors.valid != want->valid)
        wrong = "mined.anchors.valid differs";
    if (!wrong && got->unlike)
        wrong = "the summary differs between ranks";
    return wrong;
}

static void describe(const char *what, int number, const random_store *store, const job *j)
{
    const trm_loss_options *loss = &j->evaluate.loss;
    const trm_mine_options *mine = &j->evaluate.mine;
    fprintf(stderr,
            "case %d: %s\n  store: %lld x %d, %s; ranks %d; source %d, lone %d, given %lld\n"
            "  metric %s, margin %g, soft %d, swap %d, reduction %d, normalize %d, gradient %d\n"
            "  mining margin %g, positives %s, negatives %s, window %d, pick %d, fallback %d\n"
            "  kernel %s, threads %d, tile %d, replicate %d\n",
            number, what, (long long)store->rows, store->dim, store->flavour, ranks, (int)j->evaluate.source,
            j->evaluate.lone, (long long)j->triplets.count, trm_metric_name(loss->metric), loss->margin,
            loss->soft, loss->swap, (int)loss->reduction, j->normalize, j->gradient, mine->margin,
            mine->positives, mine->negatives, (int)mine->window, (int)mine->pick, (int)mine->fallback,
            j->run.kernel, j->run.threads, j->run.tile, j->run.replicate);
}

static void brute_force(const random_store *store, const job *j, const double *norms, reference_loss *loss)
{
    const reference_store plain = random_store_view(store);
    trm_evaluate_options options = j->evaluate;
    options.given = (trm_given_triplets){j->triplets.count, j->triplets.anchor, j->triplets.positive,
                                         j->triplets.negative};
    reference_loss_evaluate(&plain, &options, norms, loss);
}

/* Rows become unit rows, by the library; norms NULL if that is not what brute force makes of them. */
static double *normalize(random_store *store)
{
    const reference_store plain = random_store_view(store);
    double *norms = need(2 * store->rows, sizeof *norms), *want_norms = norms + store->rows;
    float *want = need(store->rows * store->dim, sizeof *want);
    reference_normalize(&plain, want, want_norms);
    const int64_t zero = trm_normalize(store->rows, store->dim, store->embeddings, store->embeddings, norms);
    const bool same = memcmp(norms, want_norms, (size_t)store->rows * sizeof *norms) == 0 &&
                      memcmp(store->embeddings, want, (size_t)(store->rows * store->dim) * sizeof *want) == 0;
    free(want);
    if (zero == -1 && same)
        return norms;
    free(norms);
    return NULL;
}

/* Whether trm_evaluate equals brute force; the same answer on all ranks. active: counts cases in which
 * something is. Collective. */
static bool case_agrees(int number, random_store *store, const job *j, int *active)
{
    double *norms = j->normalize ? normalize(store) : NULL;
    outcome o;
    const char *wrong = j->normalize && !norms ? "trm_normalize differs" : NULL;
    evaluate(store, j, norms, &o);
    if (everywhere(o.status != TRM_OK)) {
        if (rank == 0)
            fprintf(stderr, "  status %d: %s\n", (int)o.status, o.err.text);
        wrong = "an error";
    } else {
        gather_outcome(store, j, &o);
        reference_loss want = {0};
        if (rank == 0)
            brute_force(store, j, norms, &want);
        if (rank == 0 && !wrong)
            wrong = compare(&want, &o, j);
        reference_loss_destroy(&want);
    }
    *active += o.summary.active > 0;
    if (wrong && rank == 0)
        describe(wrong, number, store, j);
    destroy_outcome(&o);
    free(norms);
    return everywhere(wrong != NULL) == 0;
}

/* ---- random cases ---- */

static int a_divisor(test_random *random)
{
    int divisor;
    do
        divisor = 1 + (int)test_random_below(random, ranks);
    while (ranks % divisor != 0);
    return divisor;
}

static void set_policies(test_random *random, trm_mine_options *mine)
{
    static const char *const positives[] = {"all", "hardest", "easiest", "nearest"};
    static const char *const nearest[] = {"nearest:1", "nearest:2", "nearest:5", "nearest:1000"};
    const int64_t policy = test_random_below(random, 4), few = test_random_below(random, 4);
    mine->positives = policy < 3 ? positives[policy] : nearest[few];
    mine->negatives = test_random_below(random, 4) == 0 ? "hard" : "semihard";
    mine->window = (trm_window)test_random_below(random, 3);
    mine->pick = (trm_pick)test_random_below(random, 2);
    mine->fallback = (trm_fallback)test_random_below(random, 3);
}

static bool takes_part(const random_store *store, int64_t row)
{
    const reference_store seen = random_store_view(store);
    return reference_takes_part(&seen, row);
}

/* A random row that is like a (a positive) or unlike it (a negative); -1 where none was met. */
static int64_t a_partner(test_random *random, const random_store *store, int64_t a, bool like)
{
    for (int attempt = 0; attempt < 60; attempt++) {
        const int64_t i = test_random_below(random, store->rows);
        if (i != a && takes_part(store, i) && (store->labels[i] == store->labels[a]) == like)
            return i;
    }
    return -1;
}

/* Valid triplets in no order, some of them more than once. */
static void random_list(test_random *random, const random_store *store, list *made)
{
    const int64_t wanted =
        test_random_below(random, 3) == 0 ? test_random_below(random, 5) : test_random_below(random, 250);
    create_list(wanted, made);
    made->count = 0;
    for (int64_t k = 0; k < wanted; k++) {
        const int64_t a = test_random_below(random, store->rows), at = made->count;
        const int64_t again =
            at > 0 && test_random_below(random, 8) == 0 ? test_random_below(random, at) : -1;
        const int64_t p = again < 0 ? a_partner(random, store, a, true) : made->positive[again];
        const int64_t n = again < 0 ? a_partner(random, store, a, false) : made->negative[again];
        if (p < 0 || n < 0 || !takes_part(store, a))
            continue;
        made->anchor[at] = again < 0 ? a : made->anchor[again];
        made->positive[at] = p;
        made->negative[at] = n;
        made->count++;
    }
}

/* The case's number walks the product of the rules; its random numbers choose the rest. */
static job job_of_case(int number, test_random *random, const random_store *store)
{
    static const double margins[] = {0.0, 0.25, 1.0, 2.0, 7.0, 1e6};
    job j = {.gradient = test_random_below(random, 8) > 0};
    const int kind = number % KINDS;
    const bool whole = kind == ALL || kind == WITHIN;
    trm_run_options_init(&j.run);
    trm_evaluate_options_init(&j.evaluate);
    trm_evaluate_options *e = &j.evaluate;
    e->source = sources[kind];
    e->lone = kind == HARD_LONE;
    e->loss.metric = (trm_metric)(number / KINDS % 4);
    e->loss.soft = !whole && number / (KINDS * 4) % 2;
    e->loss.swap = !whole && number / (KINDS * 8) % 2;
    e->loss.whole_at_zero = !whole && test_random_below(random, 2);
    e->loss.reduction = (trm_reduction)(number / (KINDS * 16) % 5);
    e->loss.margin = margins[test_random_below(random, 6)] * (test_random_below(random, 3) == 0 ? 0.1 : 1.0);
    e->mine.margin = test_random_below(random, 2) ? e->loss.margin : margins[test_random_below(random, 6)];
    set_policies(random, &e->mine);
    j.normalize = test_random_below(random, 3) == 0 && !store->denormal;
    j.gradient = j.gradient && !(store->denormal && e->loss.metric == TRM_METRIC_COSINE);
    j.run.kernel = test_random_kernel(random);
    j.run.threads = 1 + (int)test_random_below(random, 3);
    j.run.tile = test_random_below(random, 2) ? 32 : 64;
    j.run.replicate = a_divisor(random);
    if (kind == GIVEN)
        random_list(random, store, &j.triplets);
    else
        create_list(0, &j.triplets);
    j.first_row = deal(random, store->rows);
    j.first_triplet = deal(random, j.triplets.count);
    return j;
}

static void random_stores_agree_with_brute_force(void **state)
{
    (void)state;
    int failures = 0, active = 0, cases = 0;
    const char *only = getenv("TRIMINE_TEST_CASE");
    const int from = only ? atoi(only) : 0, to = only ? from + 1 : CASES;
    for (int number = from; number < to && failures < 5; number++) {
        if (only == NULL && !test_runs_round(number / ROUND, ranks))
            continue;
        random_store store;
        cases++;
        random_store_create((uint64_t)number + 5000, &store);
        if (number % KINDS >= ALL && store.rows > MOST_ROWS_OF_WHOLE)
            store.rows = MOST_ROWS_OF_WHOLE; /* brute force is cubic */
        test_random random = {(uint64_t)number + UINT64_C(3000017)};
        job j = job_of_case(number, &random, &store);
        const bool agrees = case_agrees(number, &store, &j, &active);
        if (!agrees && rank == 0)
            fprintf(stderr, "  kind %s\n", kind_names[number % KINDS]);
        failures += !agrees;
        destroy_job(&j);
        random_store_destroy(&store);
    }
    assert_int_equal(failures, 0);
    assert_true(only || active > cases / 2);
}

/* ---- golden values ---- */

typedef struct golden_row {
    trm_source source;
    bool lone;
    trm_window window;
    trm_fallback fallback;
    trm_reduction reduction;
    double want[4]; /* l2 m = 1, sql2 m = 1, l2 m = 1.5, sql2 m = 1.5 */
    int64_t active[4];
} golden_row;

static const golden_row golden_rows[] = {
    {TRM_SOURCE_MINED,
     false,
     TRM_WINDOW_NONE,
     TRM_FALLBACK_FARTHEST_INSIDE,
     TRM_REDUCTION_MEAN_ALL,
     {2.0 / 6.0, 2.0 / 6.0, 5.0 / 6.0, 0.5},
     {2, 2, 6, 2}},
    {TRM_SOURCE_MINED,
     false,
     TRM_WINDOW_NONE,
     TRM_FALLBACK_FARTHEST_INSIDE,
     TRM_REDUCTION_MEAN_NONZERO,
     {1.0, 1.0, 5.0 / 6.0, 1.5},
     {2, 2, 6, 2}},
    {TRM_SOURCE_MINED,
     false,
     TRM_WINDOW_NONE,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_ALL,
     {0.0, 0.0, 0.5, 0.0},
     {0, 0, 4, 0}},
    {TRM_SOURCE_MINED,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_SUM,
     {0.0, 0.0, 2.0, 0.0},
     {0, 0, 4, 0}},
    {TRM_SOURCE_BATCH_HARD,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_VALID,
     {4.0, 124.0 / 6.0, 4.5, 21.0},
     {4, 4, 6, 4}},
    {TRM_SOURCE_BATCH_HARD,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_NONZERO,
     {6.0, 31.0, 4.5, 31.5},
     {4, 4, 6, 4}},
    {TRM_SOURCE_BATCH_HARD,
     true,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_ROWS,
     {24.0 / 7.0, 124.0 / 7.0, 27.5 / 7.0, 126.5 / 7.0},
     {4, 4, 7, 5}},
    {TRM_SOURCE_BATCH_ALL,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_ALL,
     {68.0 / 30.0, 12.8, 79.0 / 30.0, 392.5 / 30.0},
     {17, 17, 22, 17}},
    {TRM_SOURCE_BATCH_ALL,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_MEAN_NONZERO,
     {4.0, 384.0 / 17.0, 79.0 / 22.0, 392.5 / 17.0},
     {17, 17, 22, 17}},
    {TRM_SOURCE_WITHIN,
     false,
     TRM_WINDOW_LT,
     TRM_FALLBACK_SKIP,
     TRM_REDUCTION_SUM,
     {0.0, 0.0, 2.5, 0.0}, /* all five at a distance of 1, as all differences inside 1.5 are */
     {0, 0, 5, 0}},
};

static void golden_values(void **state)
{
    (void)state;
    float x[] = {0, 6, 1, 3, 6, -1, 4};
    int64_t labels[] = {0, 0, 1, 2, 1, 3, 2};
    const random_store store = {7, 1, x, labels, 0, {0, 0, 0}, "golden", false};
    test_random random = {17};
    int bad = 0;
    for (size_t row = 0; row < sizeof golden_rows / sizeof *golden_rows; row++)
        for (int column = 0; column < 4; column++) {
            const golden_row *g = &golden_rows[row];
            job j = job_of_case(0, &random, &store);
            trm_evaluate_options_init(&j.evaluate);
            j.evaluate.source = g->source;
            j.evaluate.lone = g->lone;
            j.evaluate.loss.metric = column % 2 ? TRM_METRIC_SQL2 : TRM_METRIC_L2;
            j.evaluate.loss.margin = column < 2 ? 1.0 : 1.5;
            j.evaluate.loss.reduction = g->reduction;
            j.evaluate.mine.margin = j.evaluate.loss.margin;
            j.evaluate.mine.window = g->window;
            j.evaluate.mine.fallback = g->fallback;
            outcome o;
            evaluate(&store, &j, NULL, &o);
            const bool wrong = o.status != TRM_OK || !same_bits(o.summary.value, g->want[column]) ||
                               o.summary.active != g->active[column] || o.summary.valid != 6 ||
                               o.summary.rows != 7;
            if (wrong && rank == 0)
                fprintf(stderr, "golden row %d, column %d: status %d %s, value %.17g, active %lld\n",
                        (int)row, column, (int)o.status, o.err.text, o.summary.value,
                        (long long)o.summary.active);
            bad += wrong;
            destroy_outcome(&o);
            destroy_job(&j);
        }
    assert_int_equal(everywhere(bad), 0);
}

/* Rows a trillion times nearer each other than the origin, unlike but for two: by norms and dot all these
 * distances would be 0, and l2 would have no gradient. */
static void rows_that_are_close_for_their_norms_agree_with_brute_force(void **state)
{
    (void)state;
    float x[] = {0x1p30F, 0x1p-10F,          0x1p30F,  0.0F,    0x1p30F - 0x1p20F,
                 0.0F,    0x1p30F - 0x1p20F, 0x1p-12F, 0x1p30F, 0.0F};
    int64_t labels[] = {0, 0, 1, 1, 1};
    random_store store = {5, 2, x, labels, 0, {0, 0, 0}, "close rows", false};
    test_random random = {41};
    int failures = 0, active = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        job j = job_of_case(kind, &random, &store);
        j.normalize = false;
        j.gradient = true;
        j.evaluate.loss.metric = TRM_METRIC_L2;
        j.evaluate.loss.margin = j.evaluate.mine.margin = 0x1p21;
        failures += !case_agrees(kind, &store, &j, &active);
        destroy_job(&j);
    }
    assert_int_equal(failures, 0);
    assert_true(active > KINDS / 2);
}

/* ---- errors ---- */

static bool fails_with(const random_store *store, const job *j, trm_status want, outcome *o)
{
    evaluate(store, j, NULL, o);
    if (o->status != want && rank == 0)
        fprintf(stderr, "status %d '%s', not %d\n", (int)o->status, o->err.text, (int)want);
    return everywhere(o->status != want) == 0;
}

/* Three classes of seven rows, and three rows to be ignored. */
enum { BAD_ROWS = 24, BAD_LIST = 160, IGNORED = 9 };
static void bad_list_store(random_store *store)
{
    test_random random = {12};
    *store = (random_store){.rows = BAD_ROWS, .dim = 3, .flavour = "for bad lists", .ignore_count = 1};
    store->ignore_label[0] = IGNORED;
    store->embeddings = need(BAD_ROWS * 3, sizeof *store->embeddings);
    store->labels = need(BAD_ROWS, sizeof *store->labels);
    for (int i = 0; i < BAD_ROWS * 3; i++)
        store->embeddings[i] = test_random_unit(&random);
    for (int i = 0; i < BAD_ROWS; i++)
        store->labels[i] = i % 8 == 7 ? IGNORED : i % 8 % 3;
}

enum {
    BELOW,
    BEYOND,
    FAR_BEYOND,
    SAME_ROW,
    WRONG_POSITIVE,
    WRONG_NEGATIVE,
    IGNORED_ANCHOR,
    IGNORED_NEGATIVE,
    BAD_KINDS
};
static const char *const bad_names[BAD_KINDS] = {
    "id below 0",      "id N",           "id far beyond",  "anchor as its own positive",
    "positive unlike", "negative alike", "ignored anchor", "ignored negative",
};

static void spoil(test_random *random, const random_store *store, list *triplets, int64_t at, int kind)
{
    int64_t *const ids[] = {&triplets->anchor[at], &triplets->positive[at], &triplets->negative[at]};
    int64_t *const any = ids[test_random_below(random, 3)];
    switch (kind) {
    case BELOW:
        *any = -2; /* -1 as a positive is none */
        return;
    case BEYOND:
        *any = BAD_ROWS;
        return;
    case FAR_BEYOND:
        *any = INT64_C(1) << 40;
        return;
    case SAME_ROW:
        *ids[1] = *ids[0];
        return;
    case WRONG_POSITIVE:
        *ids[1] = a_partner(random, store, *ids[0], false);
        return;
    case WRONG_NEGATIVE:
        *ids[2] = a_partner(random, store, *ids[0], true);
        return;
    case IGNORED_ANCHOR:
        *ids[0] = 7;
        *ids[1] = 15;
        return;
    default:
        *ids[2] = 23;
    }
}

/* The numbers in a text, as a reader would see them. */
static bool names_number(const char *text, int64_t number)
{
    for (const char *at = strpbrk(text, "0123456789"); at; at = strpbrk(at, "0123456789")) {
        char *end;
        if (strtoll(at, &end, 10) == number)
            return true;
        at = end;
    }
    return false;
}

/* A list of good triplets with one or two bad ones. No row id or label is as large as a bad one's place. */
static bool first_bad_is_named(const random_store *store, test_random *random, int first_kind,
                               int second_kind)
{
    job j = job_of_case(GIVEN, random, store);
    destroy_job(&j);
    create_list(BAD_LIST, &j.triplets);
    for (int64_t k = 0; k < BAD_LIST; k++) {
        int64_t a;
        do
            a = test_random_below(random, BAD_ROWS);
        while (!takes_part(store, a));
        j.triplets.anchor[k] = a;
        j.triplets.positive[k] = a_partner(random, store, a, true);
        j.triplets.negative[k] = a_partner(random, store, a, false);
    }
    const int64_t bad = 100 + test_random_below(random, BAD_LIST - 101);
    spoil(random, store, &j.triplets, bad, first_kind);
    if (second_kind < BAD_KINDS)
        spoil(random, store, &j.triplets, bad + 1 + test_random_below(random, BAD_LIST - 1 - bad),
              second_kind);
    j.first_row = deal(random, store->rows);
    j.first_triplet = deal(random, BAD_LIST);
    outcome o;
    const bool failed = fails_with(store, &j, TRM_ERR_DATA, &o);
    const bool named = names_number(o.err.text, bad);
    if (!(failed && named) && rank == 0)
        fprintf(stderr, "triplet %lld has an %s: '%s'\n", (long long)bad, bad_names[first_kind], o.err.text);
    destroy_outcome(&o);
    destroy_job(&j);
    return everywhere(!(failed && named)) == 0;
}

static void the_first_bad_given_triplet_is_named(void **state)
{
    (void)state;
    random_store store;
    bad_list_store(&store);
    test_random random = {23};
    int bad = 0;
    for (int first = 0; first < BAD_KINDS; first++)
        for (int second = 0; second <= BAD_KINDS; second++)
            bad += !first_bad_is_named(&store, &random, first, second);
    random_store_destroy(&store);
    assert_int_equal(bad, 0);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const double margins[] = {-1.0, NAN, INFINITY, 1.0, 1.0, 1.0, 1.0};
    random_store store;
    bad_list_store(&store);
    test_random random = {29};
    int bad = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (int way = 0; way < 7; way++) {
            const bool whole = kind == ALL || kind == WITHIN;
            if ((way == 6 && kind != MINED) || (way >= 3 && way < 6 && !whole))
                continue;
            job j = job_of_case(kind, &random, &store);
            j.evaluate.loss.margin = margins[way];
            j.evaluate.loss.soft = way == 3 || way == 5;
            j.evaluate.loss.swap = way == 4 || way == 5;
            if (way == 6)
                j.evaluate.mine.positives = "nearest:0";
            outcome o;
            const bool refused = fails_with(&store, &j, TRM_ERR_USAGE, &o) && o.err.text[0] != 0;
            if (!refused && rank == 0)
                fprintf(stderr, "way %d of %s is not refused\n", way, kind_names[kind]);
            bad += !refused;
            destroy_outcome(&o);
            destroy_job(&j);
        }
    random_store_destroy(&store);
    assert_int_equal(everywhere(bad), 0);
}

int main(int argc, char **argv)
{
    int provided;
    alarm(1200);
    must(MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided));
    must(MPI_Comm_rank(MPI_COMM_WORLD, &rank));
    must(MPI_Comm_size(MPI_COMM_WORLD, &ranks));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_values),
        cmocka_unit_test(random_stores_agree_with_brute_force),
        cmocka_unit_test(rows_that_are_close_for_their_norms_agree_with_brute_force),
        cmocka_unit_test(the_first_bad_given_triplet_is_named),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
