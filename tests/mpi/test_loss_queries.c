/* Losses over two sets against brute force: anchors are rows of queries, positives and negatives rows of a store, each
 * dealt to the ranks in its own way. Values and gradients of both sets to the bit, on any number of ranks and threads; so
 * none of these matters. A failure prints the case's number, which is its seed; TRIMINE_TEST_CASE runs that one. */
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference_loss.h"
#include "support/scratch.h"
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

#include <cmocka.h>

/* Who says what is a positive. */
enum { LABELS, PAIRS, NAMES, RULES };
enum { CASES = 4 * 2 * 2 * 5 * RULES, MOST_TRIPLETS = 200, MORE = 1000 };

static void *need(int64_t count, size_t size)
{
    void *memory = calloc(count > 0 ? (size_t)count : 1, size);
    if (!memory)
        MPI_Abort(MPI_COMM_WORLD, 1);
    return memory;
}

/* ---- a case ---- */

/* The rows of both sets are in one store: first the queries, then the others. */
typedef struct two_sets {
    random_store both;
    int64_t queries;
    int rule;
    double *norms;       /* of both, or NULL */
    bool bare[2];        /* queries, the store: without labels */
    trm_pair_list pairs; /* all; all ranks give them, since repeats don't matter */
    random_run run;
    trm_evaluate_options options; /* given: all triplets */
    bool gradient;
    int64_t *first[3]; /* where each rank's queries, rows of the store, and triplets begin */
    int64_t *ids;      /* of the triplets */
} two_sets;

enum { QUERIES, STORE, TRIPLETS };

static int64_t rows_of(const two_sets *c)
{
    return c->both.rows - c->queries;
}

static bool takes_part(const two_sets *c, int64_t row)
{
    const reference_store view = random_store_view(&c->both);
    return reference_takes_part(&view, row);
}

/* A row of the store that may be the positive (like) or the negative of query a, but not `other`; -1: none was met. */
static int64_t a_partner(test_random *random, const two_sets *c, int64_t a, bool like, int64_t other)
{
    const int64_t *labels = c->both.labels;
    for (int attempt = 0; attempt < 60 && rows_of(c) > 0; attempt++) {
        const int64_t i = test_random_below(random, rows_of(c)), row = c->queries + i;
        const bool fits = c->rule != LABELS || (labels[row] == labels[a]) == like;
        if (i != other && fits && takes_part(c, row))
            return i;
    }
    return -1;
}

/* Good triplets in no order, some of them twice. */
static void draw_triplets(test_random *random, two_sets *c, int64_t wanted)
{
    int64_t *anchor = c->ids = need(3 * wanted, sizeof *c->ids), at = 0;
    int64_t *positive = anchor + wanted, *negative = positive + wanted;
    for (int64_t k = 0; k < wanted && c->queries > 0; k++) {
        const int64_t a = test_random_below(random, c->queries);
        const int64_t p = a_partner(random, c, a, true, -1), n = a_partner(random, c, a, false, p);
        const int64_t again =
            test_random_below(random, 8) == 0 && at > 0 ? test_random_below(random, at) : -1;
        if (p < 0 || n < 0 || !takes_part(c, a))
            continue;
        anchor[at] = again < 0 ? a : anchor[again];
        positive[at] = again < 0 ? p : positive[again];
        negative[at++] = again < 0 ? n : negative[again];
    }
    c->options.given = (trm_given_triplets){at, anchor, positive, negative};
}

/* Some pairs, at random, and all rows of the store with the last query. */
static void draw_pairs(test_random *random, two_sets *c)
{
    const int64_t rows = rows_of(c), count = c->queries > 0 && rows > 0 ? rows + 50 : 0;
    int64_t *query = need(2 * count, sizeof *query), *positive = query + count;
    for (int64_t k = 0; k < count; k++) {
        query[k] = k < rows ? c->queries - 1 : test_random_below(random, c->queries);
        positive[k] = k < rows ? k : test_random_below(random, rows);
    }
    c->pairs = (trm_pair_list){count, query, positive};
    c->options.mine.pairs = &c->pairs;
}

/* Given, or mined, which takes more than names. */
static void draw_source(test_random *random, two_sets *c)
{
    trm_evaluate_options *o = &c->options;
    const int kind = (int)test_random_below(random, 6);
    o->source = kind < 3 ? TRM_SOURCE_GIVEN : kind == 3 ? TRM_SOURCE_BATCH_HARD : TRM_SOURCE_MINED;
    o->lone = test_random_below(random, 2);
    o->mine.negatives = kind == 4 ? "semihard" : "topk:3";
    o->mine.window = TRM_WINDOW_NONE;
    if (o->source != TRM_SOURCE_GIVEN && c->rule == NAMES)
        c->rule = PAIRS;
}

static void deal(test_random *random, two_sets *c)
{
    const int64_t counts[3] = {c->queries, rows_of(c), c->options.given.count};
    for (int k = 0; k < 3; k++) {
        random_run way = c->run;
        way.deal = (int)test_random_below(random, 6);
        c->first[k] = need(ranks + 1, sizeof *c->first[k]);
        random_run_deal(random, &way, counts[k], c->first[k]);
    }
}

/* The case's number walks the product of the rules; its random numbers choose the rest. */
static void draw_case(int number, test_random *random, two_sets *c)
{
    static const double margins[] = {0.0, 0.25, 1.0, 7.0, 1e6};
    *c = (two_sets){.gradient = test_random_below(random, 8) > 0};
    random_store_create((uint64_t)number + 70000, &c->both);
    c->queries = test_random_below(random, c->both.rows + 1);
    if (test_random_below(random, 3) > 0) /* seldom all or none */
        c->queries = (c->queries + c->both.rows) / 3;
    random_run_draw(random, &c->run);
    trm_evaluate_options *o = &c->options;
    trm_evaluate_options_init(o);
    o->loss.metric = (trm_metric)(number % 4);
    o->loss.soft = number / 4 % 2;
    o->loss.swap = number / 8 % 2;
    o->loss.reduction = (trm_reduction)(number / 16 % 5);
    o->loss.margin = margins[test_random_below(random, 5)];
    o->loss.whole_at_zero = test_random_below(random, 2);
    c->rule = number / 80 % RULES;
    draw_source(random, c);
    if (c->rule != LABELS)
        c->both.ignore_count = 0; /* there is nothing to ignore by */
    c->gradient = c->gradient && !(c->both.denormal && o->loss.metric == TRM_METRIC_COSINE);
    if (test_random_below(random, 3) == 0 && !c->both.denormal) {
        c->norms = need(c->both.rows, sizeof *c->norms);
        if (trm_normalize(c->both.rows, c->both.dim, c->both.embeddings, c->both.embeddings, c->norms) >= 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    for (int k = 0; k < 2; k++)
        c->bare[k] = c->rule != LABELS && test_random_below(random, 2);
    draw_triplets(random, c,
                  test_random_below(random, 4) == 0 ? test_random_below(random, 4) : MOST_TRIPLETS);
    if (c->rule == PAIRS)
        draw_pairs(random, c);
    deal(random, c);
}

static void destroy_case(two_sets *c)
{
    random_store_destroy(&c->both);
    for (int k = 0; k < 3; k++)
        free(c->first[k]);
    free(c->norms);
    free(c->ids);
    free((void *)(uintptr_t)c->pairs.query);
}

static void describe(const char *what, int number, const two_sets *c)
{
    const trm_loss_options *loss = &c->options.loss;
    fprintf(
        stderr,
        "case %d: %s\n  %lld queries, %lld rows x %d, %s; %lld triplets\n  metric %s, margin %g, soft %d, "
        "swap %d, reduction %d, normalize %d, gradient %d, "
        "rule %d (bare %d, %d), source %d\n",
        number, what, (long long)c->queries, (long long)rows_of(c), c->both.dim, c->both.flavour,
        (long long)c->options.given.count, trm_metric_name(loss->metric), loss->margin, loss->soft,
        loss->swap, (int)loss->reduction, c->norms != NULL, c->gradient, c->rule, c->bare[0], c->bare[1],
        (int)c->options.source);
    random_run_describe(&c->run);
}

/* ---- running ---- */

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_mine_summary mined;
    trm_loss_summary loss;
    trm_loss_part part;
    trm_triplet *triplets; /* this rank's */
    int64_t count;
    float *gradient[2];    /* this rank's */
    int64_t bytes_of_more; /* queries, as they are estimated */
    int64_t most;          /* triplets of all ranks, as they were estimated, which may be one off a rank */
} outcome;

static trm_status keep(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    outcome *o = context;
    (void)err;
    o->triplets = realloc(o->triplets, (size_t)(o->count + count + 1) * sizeof *o->triplets);
    if (!o->triplets)
        MPI_Abort(MPI_COMM_WORLD, 1);
    for (int64_t k = 0; k < count; k++)
        o->triplets[o->count++] = (*triplets)[k];
    return TRM_OK;
}

/* This rank's part of a set. */
static trm_batch batch_of(const two_sets *c, int set)
{
    const int64_t begin = set == QUERIES ? 0 : c->queries, first = c->first[set][rank];
    const int64_t count = c->first[set][rank + 1] - first, row = begin + first;
    const int64_t *labels = c->both.labels + row;
    return (trm_batch){count, c->both.dim, c->both.embeddings + row * c->both.dim,
                       c->bare[set] ? NULL : labels, c->norms ? c->norms + row : NULL};
}

/* What a call gets, to be changed. */
typedef struct call {
    trm_batch batch[2];
    trm_evaluate_options options;
    float *gradient[2];
} call;
typedef void (*spoil_fn)(call *c);

static trm_status make_rows(const two_sets *c, trm_run *run, trm_rows **store, trm_rows **queries,
                            trm_error *err)
{
    const trm_batch q = batch_of(c, QUERIES), s = batch_of(c, STORE);
    trm_status status = c->rule == LABELS
                            ? trm_rows_create(run, s.count, s.dim, s.embeddings, s.labels,
                                              c->both.ignore_count, c->both.ignore_label, store, err)
                            : trm_rows_create_by_id(run, s.count, s.dim, s.embeddings, s.labels, store, err);
    if (status == TRM_OK)
        status = trm_rows_create_queries(run, *store, q.count, q.embeddings, q.labels, queries, err);
    return status;
}

/* What MORE queries on every rank add to the estimate of memory. Collective. */
static int64_t bytes_of_more(const two_sets *c, const trm_run *run, const trm_rows *rows, const call *made)
{
    trm_evaluate_options options = made->options;
    trm_batch larger = made->batch[QUERIES];
    const int64_t bytes = trm_evaluate_bytes(run, rows, &made->batch[STORE], &options, c->gradient);
    larger.count += MORE;
    options.queries = &larger;
    return trm_evaluate_bytes(run, rows, &made->batch[STORE], &options, c->gradient) - bytes;
}

/* spoil: changes what the call gets; NULL: nothing. Collective. */
static void evaluate(const two_sets *c, spoil_fn spoil, outcome *o)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    const int64_t from = c->first[TRIPLETS][rank], given = c->first[TRIPLETS][rank + 1] - from;
    const trm_given_triplets *all = &c->options.given;
    call made = {.batch = {batch_of(c, QUERIES), batch_of(c, STORE)}, .options = c->options};
    *o = (outcome){.err = TRM_ERROR_INIT};
    for (int k = 0; k < 2; k++) {
        const int64_t values = made.batch[k].count * c->both.dim;
        o->gradient[k] = need(values, sizeof(float));
        memset(o->gradient[k], 0xff, (size_t)values * sizeof(float)); /* not a number */
        made.gradient[k] = c->gradient ? o->gradient[k] : NULL;
    }
    o->status = trm_run_create(MPI_COMM_WORLD, &c->run.options, &run, &o->err);
    if (o->status == TRM_OK)
        o->status = make_rows(c, run, &rows, &queries, &o->err);
    made.options.given =
        (trm_given_triplets){given, all->anchor + from, all->positive + from, all->negative + from};
    made.options.mine.queries = queries;
    made.options.queries = &made.batch[QUERIES];
    made.options.queries_gradient = made.gradient[QUERIES];
    if (spoil)
        spoil(&made);
    if (o->status == TRM_OK && !spoil)
        o->most = 1 + trm_evaluate_triplets(run, rows, &made.options);
    if (o->status == TRM_OK && !spoil)
        o->bytes_of_more = bytes_of_more(c, run, rows, &made);
    MPI_Allreduce(MPI_IN_PLACE, &o->most, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    if (o->status == TRM_OK)
        o->status = trm_evaluate(run, rows, &made.batch[STORE], &made.options, keep, o, made.gradient[STORE],
                                 &o->mined, &o->loss, &o->part, &o->err);
    trm_rows_destroy(&queries);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
}

static void destroy_outcome(outcome *o)
{
    free(o->triplets);
    free(o->gradient[0]);
    free(o->gradient[1]);
}

/* ---- comparing ---- */

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static const char *differing_number(const reference_loss *want, const outcome *got)
{
    const trm_loss_summary *loss = &got->loss;
    if (loss->count != want->count || loss->active != want->active)
        return "count or active";
    if (loss->valid != want->valid || got->mined.anchors.valid != want->valid || loss->rows != want->counted)
        return "valid or rows";
    if (!same_bits(loss->sum, want->sum) || !same_bits(loss->value, want->value))
        return "sum or value";
    if (!same_bits(loss->mean_all, want->mean_all) || !same_bits(loss->mean_nonzero, want->mean_nonzero) ||
        !same_bits(loss->mean_valid, want->mean_valid) || !same_bits(loss->mean_rows, want->mean_rows))
        return "a mean";
    return NULL;
}

static const char *differing_triplets(const two_sets *c, const reference_loss *want, const outcome *got)
{
    const int64_t from = c->first[TRIPLETS][rank], count = c->first[TRIPLETS][rank + 1] - from;
    if (got->count != count || got->part.triplets != count)
        return "the number of triplets";
    for (int64_t k = 0; k < count; k++) {
        trm_triplet wanted = want->terms[from + k].triplet;
        wanted.positive -= c->queries;
        wanted.negative -= c->queries;
        wanted.rank = 1;
        if (memcmp(&wanted, &got->triplets[k], sizeof wanted) != 0)
            return "a triplet";
    }
    return NULL;
}

/* Of this rank's rows of a set. */
static const char *differing_gradient(const two_sets *c, const reference_loss *want, const outcome *got,
                                      int set)
{
    const int64_t row = (set == QUERIES ? 0 : c->queries) + c->first[set][rank];
    const int64_t values = (c->first[set][rank + 1] - c->first[set][rank]) * want->dim;
    for (int64_t k = 0; k < values; k++) {
        const float wanted = (float)want->gradient[row * want->dim + k];
        if (memcmp(&wanted, &got->gradient[set][k], sizeof wanted) != 0) {
            fprintf(stderr, "  row %lld, element %lld: want %a, got %a\n", (long long)(row + k / want->dim),
                    (long long)(k % want->dim), (double)wanted, (double)got->gradient[set][k]);
            return set == QUERIES ? "the gradient of queries" : "the gradient of the store";
        }
    }
    return NULL;
}

/* gradient_norm and gradient_max_abs, of both sets and all ranks. */
static const char *differing_size(const reference_loss *want, const outcome *got, bool gradient)
{
    double largest = 0.0, squares = 0.0;
    for (int64_t k = 0; k < want->rows * want->dim && gradient; k++) {
        const double g = (double)(float)want->gradient[k];
        largest = fmax(largest, fabs(g));
        squares += g * g;
    }
    if (!same_bits(got->loss.gradient_max_abs, largest))
        return "gradient_max_abs";
    return fabs(got->loss.gradient_norm - sqrt(squares)) <= 1e-12 * sqrt(squares) ? NULL : "gradient_norm";
}

/* What must be so, whatever the reference says: gradients of l2 and sql2 add up to 0 over both sets, those of cosine are
 * orthogonal to their row; but for what rounding to float32 leaves. */
static const char *broken_invariant(const two_sets *c, const reference_loss *want)
{
    const trm_metric metric = c->options.loss.metric;
    double size = 0.0, sum = 0.0;
    for (int64_t i = 0; i < want->rows; i++) {
        double along = 0.0, length = 0.0;
        for (int k = 0; k < want->dim; k++) {
            const double x = (double)c->both.embeddings[i * want->dim + k];
            along += x * (double)(float)want->gradient[i * want->dim + k];
            length += x * x;
        }
        if (metric == TRM_METRIC_COSINE &&
            !(fabs(along) <= 0x1p-22 * (want->size[i] + 0x1p-120) * want->dim * sqrt(length)))
            return "a gradient of cosine is not orthogonal to its row";
        size += want->size[i];
        sum += (double)(float)want->gradient[i * want->dim];
    }
    if ((metric == TRM_METRIC_L2 || metric == TRM_METRIC_SQL2) && !c->norms &&
        !(fabs(sum) <= 0x1p-22 * size + 0x1p-149 * (double)want->rows))
        return "the gradients do not add up to 0";
    return NULL;
}

/* All ranks' triplets as a list, in new memory at anchor. Collective. */
static trm_given_triplets list_of(const outcome *o)
{
    int *sizes = need(2 * ranks, sizeof *sizes), *starts = sizes + ranks, all = 0;
    const int own = (int)(o->count * (int64_t)sizeof(trm_triplet));
    MPI_Allgather(&own, 1, MPI_INT, sizes, 1, MPI_INT, MPI_COMM_WORLD);
    for (int r = 0; r < ranks; r++) {
        starts[r] = all;
        all += sizes[r];
    }
    trm_triplet *triplets = need(all, 1);
    MPI_Allgatherv(o->triplets, own, MPI_BYTE, triplets, sizes, starts, MPI_BYTE, MPI_COMM_WORLD);
    const int64_t count = all / (int64_t)sizeof *triplets;
    int64_t *anchor = need(3 * count, sizeof *anchor), *positive = anchor + count,
            *negative = positive + count;
    for (int64_t k = 0; k < count; k++) {
        anchor[k] = triplets[k].anchor;
        positive[k] = triplets[k].positive;
        negative[k] = triplets[k].negative;
    }
    free(triplets);
    free(sizes);
    return (trm_given_triplets){count, anchor, positive, negative};
}

static const char *compare(const two_sets *c, const reference_loss *want, const outcome *got)
{
    const char *wrong = differing_number(want, got);
    if (!wrong && c->options.source == TRM_SOURCE_GIVEN)
        wrong = differing_triplets(c, want, got);
    for (int set = 0; set < 2 && !wrong && c->gradient; set++)
        wrong = differing_gradient(c, want, got, set);
    if (!wrong)
        wrong = differing_size(want, got, c->gradient);
    const bool lone = c->options.source == TRM_SOURCE_BATCH_HARD && c->options.lone;
    if (!wrong && got->loss.count > got->most && !lone)
        wrong = "there are more triplets than were estimated";
    const int64_t a_query = c->both.dim * (int64_t)sizeof(float) * (c->gradient ? 3 : 1);
    if (!wrong && got->bytes_of_more < MORE * a_query) /* itself; of its gradient the sum */
        wrong = "queries are not in the estimate of memory";
    return !wrong && c->gradient ? broken_invariant(c, want) : wrong;
}

/* Whether the library agrees with brute force, of mined triplets on those that were mined; the same answer on all
 * ranks. Collective. */
static bool agrees(int number, const two_sets *c, int *active)
{
    const reference_store view = random_store_view(&c->both);
    trm_evaluate_options options = c->options;
    reference_loss want;
    outcome got;
    evaluate(c, NULL, &got);
    if (!everywhere(got.status == TRM_OK)) {
        describe(got.err.text, number, c);
        destroy_outcome(&got);
        return false;
    }
    const trm_given_triplets emitted = list_of(&got);
    if (c->options.source != TRM_SOURCE_GIVEN)
        options.given = emitted;
    reference_loss_of_two_sets(&view, c->queries, c->rule == LABELS, &options, c->norms, &want);
    const char *wrong = compare(c, &want, &got);
    *active += got.loss.active > 0;
    if (wrong)
        describe(wrong, number, c);
    reference_loss_destroy(&want);
    destroy_outcome(&got);
    free((void *)(uintptr_t)emitted.anchor);
    return everywhere(wrong == NULL);
}

static void random_sets_agree_with_brute_force(void **state)
{
    (void)state;
    int failures = 0, active = 0;
    const char *only = getenv("TRIMINE_TEST_CASE");
    const int from = only ? atoi(only) : 0, to = only ? from + 1 : CASES;
    for (int number = from; number < to && failures < 3; number++) {
        test_random random = {(uint64_t)number + UINT64_C(7000003)};
        two_sets c;
        draw_case(number, &random, &c);
        failures += !agrees(number, &c, &active);
        destroy_case(&c);
    }
    assert_int_equal(failures, 0);
    assert_true(only || active > CASES / 3);
}

/* ---- small sets ---- */

/* Rows that tie with nothing, in three classes; every query with each of its positives and some of its negatives. */
static void make_small(int number, bool normalize, two_sets *c)
{
    enum { QUERIES_HERE = 5, ROWS = 12, DIM = 3 };
    test_random random = {(uint64_t)number * 91 + 3};
    *c = (two_sets){.queries = QUERIES_HERE, .gradient = true, .both.flavour = "small"};
    c->both.rows = ROWS;
    c->both.dim = DIM;
    c->both.embeddings = need(ROWS * DIM, sizeof *c->both.embeddings);
    c->both.labels = need(ROWS, sizeof *c->both.labels);
    for (int k = 0; k < ROWS * DIM; k++)
        c->both.embeddings[k] = test_random_unit(&random);
    for (int i = 0; i < ROWS; i++)
        c->both.labels[i] = test_random_below(&random, 3);
    random_run_draw(&random, &c->run);
    trm_evaluate_options_init(&c->options);
    c->options.source = TRM_SOURCE_GIVEN;
    c->options.loss.metric = (trm_metric)(number % 4);
    c->options.loss.soft = number / 4 % 2;
    c->options.loss.swap = number / 8 % 2;
    c->options.loss.margin = 0.5;
    c->options.loss.reduction = (trm_reduction)(number % 5);
    if (normalize) {
        c->norms = need(ROWS, sizeof *c->norms);
        trm_normalize(ROWS, DIM, c->both.embeddings, c->both.embeddings, c->norms);
    }
    draw_triplets(&random, c, 12);
    deal(&random, c);
}

/* Whether the gradient is the derivative; 0: it may have none here. On all ranks alike. */
static int check_derivative(int number, bool normalize)
{
    two_sets c;
    reference_loss loss;
    float stored[64];
    int active = 0;
    make_small(number, false, &c);
    memcpy(stored, c.both.embeddings, (size_t)(c.both.rows * c.both.dim) * sizeof *stored);
    destroy_case(&c);
    make_small(number, normalize, &c);
    const reference_store view = random_store_view(&c.both);
    reference_loss_of_two_sets(&view, c.queries, true, &c.options, c.norms, &loss);
    int used = 0;
    if (!reference_loss_near_a_kink(&view, &loss)) {
        const double off = reference_loss_difference(&loss, stored, normalize, false);
        used = off <= (normalize ? 2e-6 : 1e-7) && agrees(number, &c, &active) ? active : -1;
    }
    if (used < 0)
        describe("the gradient is not the derivative", number, &c);
    reference_loss_destroy(&loss);
    destroy_case(&c);
    return used;
}

static void central_differences_agree_with_the_gradient(void **state)
{
    (void)state;
    int used = 0, bad = 0;
    for (int number = 0; number < 48; number++) {
        const int seen = check_derivative(number, number % 3 == 0);
        used += seen > 0;
        bad += seen < 0;
    }
    assert_true(everywhere(bad == 0));
    assert_true(used > 20);
}

/* A row of the store that is the positive of two queries and, swapped, the negative of another row of the store. In the
 * second column it gets -B and -1 of the queries, which come first and leave -B, and then B of the store. */
static void terms_of_queries_are_added_before_those_of_the_store(void **state)
{
    (void)state;
    const float big = 0x1p60F;
    float x[] = {0, 0, 0, big, 0, 1, /* queries */ 1, 0, 1, big, 0, 0};
    int64_t labels[] = {1, 0, 0, 0, 1, 2}, anchor[] = {0, 1, 2}, positive[] = {1, 0, 0},
            negative[] = {0, 2, 2};
    two_sets c = {.both = {.rows = 6, .dim = 2, .embeddings = x, .labels = labels, .flavour = "big"},
                  .queries = 3,
                  .gradient = true};
    test_random random = {5};
    outcome o;
    trm_evaluate_options_init(&c.options);
    c.options.source = TRM_SOURCE_GIVEN;
    c.options.loss.metric = TRM_METRIC_DOT;
    c.options.loss.reduction = TRM_REDUCTION_SUM;
    c.options.loss.swap = true;
    c.options.given = (trm_given_triplets){3, anchor, positive, negative};
    random_run_draw(&random, &c.run);
    deal(&random, &c);
    evaluate(&c, NULL, &o);
    bool good = o.status == TRM_OK && o.loss.active == 3;
    if (c.first[STORE][rank] == 0 && c.first[STORE][rank + 1] > 0)
        good = good && o.gradient[STORE][0] == 1.0F && o.gradient[STORE][1] == 0.0F;
    for (int k = 0; k < 3; k++)
        free(c.first[k]);
    destroy_outcome(&o);
    assert_true(everywhere(good));
}

static void empty_sets_and_lists_are_fine(void **state)
{
    (void)state;
    int bad = 0, active = 0;
    for (int way = 0; way < 6; way++) { /* neither queries nor store, or no triplets; given and mined */
        two_sets c;
        test_random random = {(uint64_t)way};
        make_small(way, false, &c);
        c.queries = way % 3 == 0 ? 0 : way % 3 == 1 ? c.both.rows : c.queries;
        c.options.source = way < 3 ? TRM_SOURCE_GIVEN : TRM_SOURCE_MINED;
        c.options.given.count = 0;
        for (int k = 0; k < 3; k++)
            free(c.first[k]);
        deal(&random, &c);
        bad += !agrees(way, &c, &active);
        destroy_case(&c);
    }
    assert_int_equal(bad, 0);
}

/* ---- refusals ---- */

static void batch_all(call *c)
{
    c->options.source = TRM_SOURCE_BATCH_ALL;
}

static void within_margin(call *c)
{
    c->options.source = TRM_SOURCE_WITHIN;
}

static void with_batches(call *c)
{
    static trm_batches batches;
    c->options.source = TRM_SOURCE_MINED;
    c->options.batches = &batches;
}

static void queries_on_some_ranks(call *c)
{
    if (rank == ranks - 1)
        c->options.queries = NULL;
}

static void without_the_batch(call *c)
{
    c->options.queries = NULL;
}

static void without_the_rows(call *c)
{
    c->options.mine.queries = NULL;
}

static void pairs_on_some_ranks(call *c)
{
    static const trm_pair_list none;
    c->options.mine.pairs = rank == ranks - 1 ? &none : NULL;
}

static void of_another_dim(call *c)
{
    c->batch[QUERIES].dim++;
}

static void of_another_count(call *c)
{
    c->batch[QUERIES].count++;
}

static void without_embeddings(call *c)
{
    c->batch[QUERIES].embeddings = NULL;
}

static void without_labels(call *c)
{
    c->batch[QUERIES].labels = NULL;
}

static void without_the_queries_gradient(call *c)
{
    c->options.queries_gradient = NULL;
}

static void without_the_stores_gradient(call *c)
{
    c->gradient[STORE] = NULL;
}

static void norms_of_zero(call *c)
{
    static const double zero[64];
    c->batch[QUERIES].norms = zero;
}

static const struct {
    spoil_fn spoil;
    trm_status status;
    const char *words;
} refusals[] = {
    {batch_all, TRM_ERR_USAGE, "batch-all over two sets is not built"},
    {within_margin, TRM_ERR_USAGE, "within-margin over two sets is not built"},
    {with_batches, TRM_ERR_USAGE, "batches: are of one set"},
    {queries_on_some_ranks, TRM_ERR_USAGE, "queries NULL"},
    {without_the_batch, TRM_ERR_USAGE, "queries NULL: mine.queries are made of some"},
    {without_the_rows, TRM_ERR_USAGE, "queries: go with mine.queries"},
    {pairs_on_some_ranks, TRM_ERR_USAGE, "pairs"},
    {of_another_dim, TRM_ERR_USAGE, "queries.dim 4: trm_rows_create_queries was given 3"},
    {of_another_count, TRM_ERR_USAGE, "trm_rows_create_queries was given"},
    {without_embeddings, TRM_ERR_USAGE, "queries.embeddings NULL on rank"},
    {without_labels, TRM_ERR_USAGE, "queries.labels NULL on rank"},
    {without_the_queries_gradient, TRM_ERR_USAGE, "queries_gradient NULL on rank"},
    {without_the_stores_gradient, TRM_ERR_USAGE, "gradient NULL on rank"},
    {norms_of_zero, TRM_ERR_DATA, "query 0 has the norm 0"},
};

static bool is_refused(const two_sets *c, spoil_fn spoil, trm_status status, const char *words)
{
    outcome o;
    evaluate(c, spoil, &o);
    const bool refused = o.status == status && strstr(o.err.text, words) != NULL;
    if (!refused)
        fprintf(stderr, "wanted '%s', got status %d '%s'\n", words, (int)o.status, o.err.text);
    destroy_outcome(&o);
    return everywhere(refused);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    int bad = 0;
    two_sets c;
    make_small(0, false, &c);
    for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++)
        bad += !is_refused(&c, refusals[k].spoil, refusals[k].status, refusals[k].words);
    destroy_case(&c);
    assert_int_equal(bad, 0);
}

/* Where the triplets are good but for one, or two, of which the first is named. */
static void the_first_bad_given_triplet_is_named(void **state)
{
    (void)state;
    static const struct {
        int64_t anchor, positive, negative;
        int rule;
        const char *words;
    } wrong[] = {
        {2, 0, 1, LABELS, "anchor 2 is not a row id of the queries, which go from 0 to 1"},
        {-1, 0, 1, LABELS, "anchor -1 is not a row id of the queries, which go from 0 to 1"},
        {0, 4, 1, LABELS, "positive 4 is not a row id of the store, which go from 0 to 3"},
        {0, 0, -1, NAMES, "negative -1 is not a row id of the store, which go from 0 to 3"},
        {0, 1, 1, LABELS, "positive and negative are the same row, 1"},
        {0, 1, 1, NAMES, "positive and negative are the same row, 1"},
        {0, 1, 2, LABELS, "query 0 has label 7, its positive 1 has 8"},
        {0, 0, 2, LABELS, "negative 2 has the label of query 0, 7"},
        {1, 1, 3, LABELS, "has a row with the label 9, which is to be ignored"},
    };
    float x[6] = {1, 2, 3, 4, 5, 6};
    int64_t labels[6] = {7, 8, /* the store */ 7, 8, 7, 9}, ids[3][7];
    int bad = 0;
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
        for (int second = 0; second < 2; second++) {
            two_sets c = {.both = {.rows = 6,
                                   .dim = 1,
                                   .embeddings = x,
                                   .labels = labels,
                                   .ignore_count = wrong[k].rule == LABELS,
                                   .ignore_label = {9}},
                          .queries = 2,
                          .rule = wrong[k].rule};
            test_random random = {k};
            char words[120];
            for (int t = 0; t < 7; t++) {
                const bool spoilt = t == 4;
                ids[0][t] = spoilt ? wrong[k].anchor : second && t == 6 ? 5 : 0;
                ids[1][t] = spoilt ? wrong[k].positive : 0;
                ids[2][t] = spoilt ? wrong[k].negative : 1;
            }
            trm_evaluate_options_init(&c.options);
            c.options.source = TRM_SOURCE_GIVEN;
            c.options.given = (trm_given_triplets){7, ids[0], ids[1], ids[2]};
            random_run_draw(&random, &c.run);
            deal(&random, &c);
            snprintf(words, sizeof words, "triplet 4: %s", wrong[k].words);
            bad += !is_refused(&c, NULL, TRM_ERR_DATA, words);
            for (int i = 0; i < 3; i++)
                free(c.first[i]);
        }
    assert_int_equal(bad, 0);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_sets_agree_with_brute_force),
        cmocka_unit_test(central_differences_agree_with_the_gradient),
        cmocka_unit_test(terms_of_queries_are_added_before_those_of_the_store),
        cmocka_unit_test(empty_sets_and_lists_are_fine),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(the_first_bad_given_triplet_is_named),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
