/* Neighbours against all distances, bit for bit: random stores full of ties and copies, one set and two, in panels, stopped
 * and gone on with on other ranks; and what is refused. */
#include "base/error.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/rounds.h"
#include "support/saver.h"
#include "support/scratch.h"
#include "trimine/trimine.h"

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

enum { CASES = 240, ROUND = 4 * 3 * 2 }; /* a round: all metrics, among all, one set and two */

/* ---- a case ---- */

typedef struct knn_case {
    int number;
    random_store store;
    bool two_sets;
    int64_t cut; /* two sets: the first rows are queries */
    trm_knn_options options;
    random_run run;
    bool panels; /* as little memory as will do */
} knn_case;

static void draw_case(int number, knn_case *c)
{
    test_random random = {(uint64_t)number + UINT64_C(7000003)};
    *c = (knn_case){.number = number};
    random_store_create(test_random_next(&random), &c->store);
    const int64_t
        rows = c->store.rows,
        ks[] = {1, 2, 3, 7, rows > 1 ? rows - 1 : 1, rows, rows + 3, 1 + test_random_below(&random, 40)};
    trm_knn_options_init(&c->options);
    c->options.metric = (trm_metric)(number % 4);
    c->options.among = (trm_among)(number / 4 % 3);
    c->two_sets = number / 12 % 2 == 1;
    c->cut = c->two_sets ? test_random_below(&random, rows + 1) : 0;
    c->options.k = ks[test_random_below(&random, 8)];
    c->panels = test_random_below(&random, 3) == 0;
    random_run_draw(&random, &c->run);
}

static void describe(const knn_case *c)
{
    if (rank != 0)
        return;
    fprintf(stderr, "  case %d: %s, %d rows x %d, %d queries, k %d, metric %d, among %d%s\n", c->number,
            c->store.flavour, (int)c->store.rows, c->store.dim, (int)c->cut, (int)c->options.k,
            (int)c->options.metric, (int)c->options.among, c->panels ? ", panels" : "");
    random_run_describe(&c->run);
}

static bool takes_part(const knn_case *c, int64_t row)
{
    const reference_store view = random_store_view(&c->store);
    return reference_takes_part(&view, row);
}

/* ---- by all distances ---- */

typedef struct pair {
    double d;
    int64_t id;
} pair;

static int compare_pairs(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    return x->d != y->d ? (x->d < y->d ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

/* The neighbours of a row of the anchors' set, all of them, ascending; returns how many. */
static int64_t find(const knn_case *c, int64_t row, pair *list)
{
    const reference_store view = random_store_view(&c->store);
    const int64_t *label = c->store.labels;
    int64_t count = 0;
    for (int64_t other = c->cut; other < c->store.rows; other++) {
        const bool same = label[row] == label[other];
        if (!takes_part(c, other) || (!c->two_sets && other == row) ||
            (c->options.among != TRM_AMONG_ANY && same != (c->options.among == TRM_AMONG_SAME)))
            continue;
        list[count++] = (pair){reference_distance(&view, c->options.metric, row, other), other - c->cut};
    }
    if (count > 1)
        qsort(list, (size_t)count, sizeof *list, compare_pairs);
    return count;
}

/* ---- running ---- */

/* What came, by row id; of all ranks, after gather. */
typedef struct lists {
    int64_t rows, k;
    int64_t *came, *neighbour, *bits; /* of distances */
} lists;

static void make_lists(int64_t rows, int64_t k, lists *made)
{
    *made = (lists){rows, k, calloc((size_t)rows + 1, 8), calloc((size_t)(rows * k) + 1, 8),
                    calloc((size_t)(rows * k) + 1, 8)};
    if (made->came == NULL || made->neighbour == NULL || made->bits == NULL)
        abort();
}

static void free_lists(lists *made)
{
    free(made->came);
    free(made->neighbour);
    free(made->bits);
}

/* A trm_knn_fn. */
static trm_status take(void *context, int64_t count, const int64_t *id, const int64_t *neighbour,
                       const double *distance, trm_error *err)
{
    lists *into = context;
    (void)err;
    for (int64_t i = 0; i < count; i++) {
        into->came[id[i]]++;
        for (int64_t j = 0; j < into->k; j++) {
            into->neighbour[id[i] * into->k + j] = neighbour[i * into->k + j];
            memcpy(&into->bits[id[i] * into->k + j], &distance[i * into->k + j], sizeof *distance);
        }
    }
    return TRM_OK;
}

/* Each row came to one rank only, so words of 0 are everywhere else. */
static void gather(MPI_Comm comm, lists *all)
{
    const int64_t values = all->rows * all->k;
    MPI_Allreduce(MPI_IN_PLACE, all->came, (int)all->rows, MPI_INT64_T, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, all->neighbour, (int)values, MPI_INT64_T, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, all->bits, (int)values, MPI_INT64_T, MPI_SUM, comm);
}

typedef struct setup {
    trm_run *run;
    trm_rows *rows, *queries;
} setup;

/* This rank's part of rows [from, to), as the run deals them. */
static int64_t dealt(const knn_case *c, int64_t from, int64_t to, int deal, int64_t *count)
{
    test_random random = {(uint64_t)(c->number * 2 + deal)};
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    if (first == NULL)
        abort();
    random_run_deal(&random, &c->run, to - from, first);
    const int64_t start = from + first[rank];
    *count = first[rank + 1] - first[rank];
    free(first);
    return start;
}

static trm_status set_up(const knn_case *c, setup *s, trm_error *err)
{
    const random_store *store = &c->store;
    int64_t count;
    int64_t start = dealt(c, c->cut, store->rows, 0, &count);
    *s = (setup){0};
    trm_status status = trm_run_create(MPI_COMM_WORLD, &c->run.options, &s->run, err);
    if (status == TRM_OK)
        status =
            trm_rows_create(s->run, count, store->dim, store->embeddings + start * store->dim,
                            store->labels + start, store->ignore_count, store->ignore_label, &s->rows, err);
    if (status != TRM_OK || !c->two_sets)
        return status;
    start = dealt(c, 0, c->cut, 1, &count);
    return trm_rows_create_queries(s->run, s->rows, count, store->embeddings + start * store->dim,
                                   store->labels + start, &s->queries, err);
}

static void take_down(setup *s)
{
    trm_rows_destroy(&s->queries);
    trm_rows_destroy(&s->rows);
    trm_run_destroy(&s->run);
}

/* The least that will do, as the refusal says. */
static void limit_memory(const setup *s, const trm_knn_options *options)
{
    trm_knn_summary plan;
    trm_error unheard = TRM_ERROR_INIT;
    s->run->mem_per_rank = 1;
    if (trm_knn_plan(s->run, s->rows, options, &plan, &unheard) != TRM_ERR_MEMORY)
        abort();
    s->run->mem_per_rank = plan.ask.memory_bytes;
}

/* What is counted, by all distances. */
typedef struct counts {
    int64_t neighbours, short_rows, same_label, asked, most;
} counts;

/* Of the row, whether its list is not what there is; counts what there is. */
static bool differs(const knn_case *c, const lists *got, int64_t row, pair *list, counts *want,
                    int64_t *occurs)
{
    const int64_t k = c->options.k;
    if (!takes_part(c, row))
        return got->came[row] != 0;
    const int64_t all = find(c, row, list), count = all < k ? all : k;
    bool wrong = got->came[row] != 1;
    for (int64_t j = 0; j < k; j++) {
        const pair seen = j < count ? list[j] : (pair){INFINITY, -1};
        wrong = wrong || got->neighbour[row * k + j] != seen.id ||
                memcmp(&got->bits[row * k + j], &seen.d, sizeof seen.d) != 0;
    }
    for (int64_t j = 0; j < count; j++) {
        occurs[list[j].id]++;
        want->same_label += c->store.labels[row] == c->store.labels[c->cut + list[j].id];
    }
    want->asked++;
    want->neighbours += count;
    want->short_rows += count < k;
    return wrong;
}

/* The first thing that is wrong, or NULL. */
static const char *wrong_in(const knn_case *c, const lists *got, const trm_knn_summary *summary)
{
    const int64_t rows = c->two_sets ? c->cut : c->store.rows, store_rows = c->store.rows - c->cut;
    pair *list = calloc((size_t)c->store.rows + 1, sizeof *list);
    int64_t *occurs = calloc((size_t)store_rows + 1, sizeof *occurs), wrong = 0, never = 0, part = 0;
    counts want = {0};
    if (list == NULL || occurs == NULL)
        abort();
    for (int64_t row = 0; row < rows; row++)
        wrong += differs(c, got, row, list, &want, occurs);
    trm_knn_hub top = {0, 0};
    double mean = 0.0, squares = 0.0, cubes = 0.0;
    for (int64_t i = 0; i < store_rows; i++) {
        never += takes_part(c, c->cut + i) && occurs[i] == 0;
        part += takes_part(c, c->cut + i);
        if (occurs[i] > top.count)
            top = (trm_knn_hub){i, occurs[i]};
    }
    mean = part > 0 ? (double)want.neighbours / (double)part : 0.0;
    for (int64_t i = 0; i < store_rows; i++) {
        const double x = (double)occurs[i] - mean;
        squares += takes_part(c, c->cut + i) ? x * x : 0.0;
        cubes += takes_part(c, c->cut + i) ? x * x * x : 0.0;
    }
    const double std = part > 0 ? sqrt(squares / (double)part) : 0.0;
    const double skewness = std > 0.0 ? cubes / (double)part / (std * std * std) : 0.0;
    free(list);
    free(occurs);
    return wrong > 0                                ? "lists"
           : summary->ask.rows != want.asked        ? "rows that asked"
           : summary->neighbours != want.neighbours ? "neighbours"
           : summary->short_rows != want.short_rows ? "short rows"
           : summary->same_label != want.same_label ? "neighbours of the same label"
           : summary->occurrence.never != never     ? "rows that are nobody's neighbour"
           : summary->occurrence.most != top.count  ? "the most of any row"
           : top.count > 0 && (summary->occurrence.hubs < 1 || summary->occurrence.hub[0].id != top.id ||
                               summary->occurrence.hub[0].count != top.count)
               ? "the worst hub"
           : fabs(summary->occurrence.mean - mean) > 1e-12 * (1.0 + mean)                  ? "mean"
           : fabs(summary->occurrence.std - std) > 1e-9 * (1.0 + std)                      ? "std"
           : fabs(summary->occurrence.skewness - skewness) > 1e-6 * (1.0 + fabs(skewness)) ? "skewness"
                                                                                           : NULL;
}

static bool run_case(int number, int *panelled)
{
    knn_case c;
    setup s;
    lists got;
    trm_error err = TRM_ERROR_INIT;
    trm_knn_summary summary = {.neighbours = 0};
    draw_case(number, &c);
    make_lists(c.two_sets ? c.cut : c.store.rows, c.options.k, &got);
    trm_status status = set_up(&c, &s, &err);
    c.options.queries = s.queries;
    if (status == TRM_OK && c.panels)
        limit_memory(&s, &c.options);
    if (status == TRM_OK)
        status = trm_knn(s.run, s.rows, &c.options, take, &got, &summary, &err);
    gather(MPI_COMM_WORLD, &got);
    const char *wrong = status != TRM_OK ? err.text : wrong_in(&c, &got, &summary);
    const bool good = everywhere(wrong == NULL);
    if (!good)
        describe(&c);
    if (wrong != NULL)
        fprintf(stderr, "  rank %d: %s\n", rank, wrong);
    *panelled += summary.ask.panels > 1;
    take_down(&s);
    free_lists(&got);
    random_store_destroy(&c.store);
    return good;
}

static void lists_are_those_of_all_distances(void **state)
{
    int failed = 0, panelled = 0;
    (void)state;
    for (int number = 0; number < CASES && failed < 3; number++)
        if (test_runs_round(number / ROUND, ranks))
            failed += !run_case(number, &panelled);
    assert_int_equal(failed, 0);
    assert_true(panelled > 0);
}

/* ---- stopped, and gone on with ---- */

enum { ROWS = 330, DIM = 9, QUERIES = 130 };
static float embeddings[ROWS * DIM];
static int64_t labels[ROWS];

static void make_store(void)
{
    test_random random = {31};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = i == 17 ? 99 : test_random_below(&random, 2) ? 3 : test_random_below(&random, 7);
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] = (float)test_random_below(&random, 9) * 0.25F + (float)(labels[i] % 3);
    }
}

/* How a job runs; q: on the first so many ranks. */
typedef struct how {
    int q, replicate, threads, percent; /* of the memory that the state needs; 0: no limit */
    bool two_sets, resumes;
    trm_among among;
} how;

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_knn_summary summary;
    int saved, pieces, came;
} outcome;

/* A trm_knn_fn: counts rows. */
static trm_status count_rows(void *context, int64_t count, const int64_t *id, const int64_t *neighbour,
                             const double *distance, trm_error *err)
{
    (void)id;
    (void)neighbour;
    (void)distance;
    (void)err;
    *(int *)context += (int)count;
    return TRM_OK;
}

static trm_status bring(trm_run *run, const how *h, int64_t from, int64_t to, const trm_rows *store,
                        trm_rows **rows, trm_error *err)
{
    const int64_t first = from + (to - from) * rank / h->q,
                  count = from + (to - from) * (rank + 1) / h->q - first;
    const float *x = embeddings + first * DIM;
    return store == NULL ? trm_rows_create(run, count, DIM, x, labels + first, 0, NULL, rows, err)
                         : trm_rows_create_queries(run, store, count, x, labels + first, rows, err);
}

static void limit(const how *h, setup *s, const trm_knn_options *options)
{
    trm_knn_summary all, least;
    trm_error unheard = TRM_ERROR_INIT;
    if (h->percent == 0)
        return;
    if (trm_knn_plan(s->run, s->rows, options, &all, &unheard) != TRM_OK)
        abort();
    s->run->mem_per_rank = 1;
    if (trm_knn_plan(s->run, s->rows, options, &least, &unheard) != TRM_ERR_MEMORY)
        abort();
    s->run->mem_per_rank =
        least.ask.memory_bytes + (all.ask.memory_bytes - least.ask.memory_bytes) * h->percent / 100;
}

static void run_on(MPI_Comm comm, const how *h, saver *k, outcome *o)
{
    setup s = {0};
    trm_run_options run_options;
    trm_knn_options options;
    trm_run_options_init(&run_options);
    trm_knn_options_init(&options);
    run_options.threads = h->threads;
    run_options.tile = 32;
    run_options.replicate = h->q % h->replicate == 0 ? h->replicate : 1;
    run_options.checkpoint = &k->checkpoint;
    options.k = 13;
    options.among = h->among;
    if (h->resumes)
        o->status = saver_open(k, &o->err);
    if (o->status == TRM_OK)
        o->status = trm_run_create(comm, &run_options, &s.run, &o->err);
    if (o->status == TRM_OK)
        o->status = bring(s.run, h, h->two_sets ? QUERIES : 0, ROWS, NULL, &s.rows, &o->err);
    if (o->status == TRM_OK && h->two_sets)
        o->status = bring(s.run, h, 0, QUERIES, s.rows, &s.queries, &o->err);
    options.queries = s.queries;
    if (o->status == TRM_OK)
        limit(h, &s, &options);
    if (o->status == TRM_OK)
        o->status = trm_knn(s.run, s.rows, &options, count_rows, &o->came, &o->summary, &o->err);
    MPI_Allreduce(MPI_IN_PLACE, &o->came, 1, MPI_INT, MPI_SUM, comm);
    o->saved = k->saved;
    o->pieces = k->pieces;
    take_down(&s);
}

/* Stopped by the last rank at its unit at; NULL path: nothing is kept. Collective on all ranks. */
static outcome run_job(const how *h, int at, const char *path)
{
    outcome o = {.status = TRM_OK, .err = TRM_ERROR_INIT};
    MPI_Comm comm;
    MPI_Comm_split(MPI_COMM_WORLD, rank < h->q ? 0 : MPI_UNDEFINED, rank, &comm);
    if (comm != MPI_COMM_NULL) {
        saver k;
        json_t *options = json_pack("{s:s}", "name", "knn");
        saver_begin(&k, comm, path, (trm_checkpoint_job){"knn", "1", options, ROWS, DIM, "f", 1});
        saver_wish(&k, rank == h->q - 1 ? at : SAVER_NEVER, TRM_WISH_STOP);
        k.checkpoint.resumes = h->resumes;
        run_on(comm, h, &k, &o);
        saver_end(&k);
        json_decref(options);
        MPI_Comm_free(&comm);
    }
    MPI_Bcast(&o, (int)sizeof o, MPI_BYTE, 0, MPI_COMM_WORLD);
    return o;
}

/* Stops it again and again, each time on other ranks, teams, threads and memory, until it ends. */
static bool goes_on(bool two_sets, trm_among among, int percent, int step)
{
    const how whole = {1, 1, 1, 0, two_sets, false, among};
    const outcome want = run_job(&whole, SAVER_NEVER, NULL);
    int stops = 0, pieces = 0;
    outcome got = {.status = TRM_ERR_STOPPED};
    for (int i = 0; got.status == TRM_ERR_STOPPED && i < 60; i++) {
        const how part = {1 + i % ranks, 1 + i % 2, 1 + i % 2, i == 0 ? percent : 9 * percent,
                          two_sets,      i > 0,     among};
        got = run_job(&part, step + i, in_folder("knn.checkpoint"));
        stops += got.status == TRM_ERR_STOPPED;
        pieces += got.pieces;
    }
    const bool good = got.status == TRM_OK && stops > 0 && (percent == 0 || pieces > 0) &&
                      got.came == (two_sets ? QUERIES : ROWS) && got.summary.ask.reused > 0 &&
                      strcmp(got.summary.result_hash, want.summary.result_hash) == 0 &&
                      got.summary.neighbours == want.summary.neighbours &&
                      got.summary.occurrence.most == want.summary.occurrence.most &&
                      memcmp(&got.summary.occurrence.skewness, &want.summary.occurrence.skewness, 8) == 0;
    if (!good && rank == 0)
        fprintf(
            stderr,
            "  two sets %d, among %d, percent %d: %d stops, %d pieces, came %d, reused %d: %s; %s, not %s\n",
            two_sets, (int)among, percent, stops, pieces, got.came, (int)got.summary.ask.reused,
            got.status == TRM_OK ? "ended" : got.err.text, got.summary.result_hash, want.summary.result_hash);
    return good;
}

static void a_job_goes_on_elsewhere(void **state)
{
    (void)state;
    make_store();
    bool good = true;
    for (int two = 0; two < 2; two++)
        for (int among = 0; among < 3; among++)
            for (int percent = 0; percent <= 10; percent += 10)
                good = everywhere(goes_on(two, (trm_among)among, percent, percent > 0 ? 3 : 1)) && good;
    assert_true(good);
}

/* ---- what is refused ---- */

typedef struct refusal {
    int64_t k;
    int metric, among;
    bool odd; /* on the last rank only */
    const char *says;
} refusal;

static void options_are_checked(void **state)
{
    static const refusal refusals[] = {{0, 0, 0, false, "k"},       {-3, 0, 0, false, "k"},
                                       {1, 77, 0, false, "metric"}, {1, 0, 3, false, "among"},
                                       {4, 0, 0, true, "k"},        {10, 0, 1, true, "among"}};
    (void)state;
    make_store();
    const how all = {ranks, 1, 1, 0, false, false, TRM_AMONG_ANY};
    setup s = {0};
    trm_error err = TRM_ERROR_INIT;
    bool good = trm_run_create(MPI_COMM_WORLD, NULL, &s.run, &err) == TRM_OK &&
                bring(s.run, &all, 0, ROWS, NULL, &s.rows, &err) == TRM_OK;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals && good; i++) {
        const refusal *r = &refusals[i];
        trm_knn_options options;
        trm_knn_summary summary;
        trm_error why = TRM_ERROR_INIT;
        trm_knn_options_init(&options);
        if (r->odd && ranks == 1)
            continue;
        if (!r->odd || rank == ranks - 1) {
            options.k = r->k;
            options.metric = (trm_metric)r->metric;
            options.among = (trm_among)r->among;
        }
        good = trm_knn(s.run, s.rows, &options, NULL, NULL, &summary, &why) == TRM_ERR_USAGE &&
               strstr(why.text, r->says) != NULL;
        if (!good)
            fprintf(stderr, "  refusal %d: '%s'\n", (int)i, why.text);
        good = everywhere(good);
    }
    take_down(&s);
    assert_true(good);
}

static trm_status refuse(void *context, int64_t count, const int64_t *id, const int64_t *neighbour,
                         const double *distance, trm_error *err)
{
    (void)count;
    (void)id;
    (void)neighbour;
    (void)distance;
    return *(const int *)context == rank ? trm_fail(err, TRM_ERR_IO, "no more room") : TRM_OK;
}

/* What one rank's callback says is what all return. */
static void a_callback_fails_everywhere(void **state)
{
    (void)state;
    make_store();
    const how all = {ranks, 1, 1, 0, false, false, TRM_AMONG_ANY};
    int last = ranks - 1;
    setup s = {0};
    trm_knn_summary summary;
    trm_error err = TRM_ERROR_INIT;
    bool good = trm_run_create(MPI_COMM_WORLD, NULL, &s.run, &err) == TRM_OK &&
                bring(s.run, &all, 0, ROWS, NULL, &s.rows, &err) == TRM_OK;
    good = everywhere(good && trm_knn(s.run, s.rows, NULL, refuse, &last, &summary, &err) == TRM_ERR_IO &&
                      strstr(err.text, "no more room") != NULL);
    take_down(&s);
    assert_true(good);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_those_of_all_distances),
        cmocka_unit_test(a_job_goes_on_elsewhere),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_callback_fails_everywhere),
    };
    start_mpi(&argc, &argv, 600);
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
