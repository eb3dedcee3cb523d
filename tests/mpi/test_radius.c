/* All pairs within a radius, and their groups, against every pair looked at: one set and two, all metrics and labels, radii that
 * are distances of the store, on any ranks, threads, tiles, kernels and panels. And long chains, whose rows are found on all ranks. */
#include "base/hash_sum.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/rounds.h"
#include "support/saver.h"
#include "support/scratch.h"
#include "trimine/radius.h"

#include <float.h>
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

enum { CASES = 384, ROUND = 24 }; /* a round: metrics x among x (one set or two) */

static void *room(int64_t count, size_t size)
{
    void *memory = calloc((size_t)count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- a case, and what there is to find ---- */

typedef struct pair {
    int64_t a, b;
    double distance;
} pair;

typedef struct radius_case {
    int number;
    random_store store;
    int64_t queries; /* of two sets: so many rows of it; 0 rows of one set */
    bool two_sets;
    trm_radius_options options;
    random_run run;
} radius_case;

typedef struct wanted {
    pair *pair;
    int64_t pairs, rows; /* rows: that ask, with the ignored ones */
    int64_t *near, *group;
    char hash[33];
} wanted;

static int64_t root_of(const int64_t *up, int64_t row)
{
    while (up[row] != row)
        row = up[row];
    return row;
}

static void want_pair(const radius_case *c, const reference_store *view, int64_t a, int64_t b, wanted *want)
{
    const int64_t base = c->two_sets ? c->queries : 0, other = base + b;
    const bool same = view->labels[a] == view->labels[other];
    if (!reference_takes_part(view, a) || !reference_takes_part(view, other) ||
        (c->options.among != TRM_AMONG_ANY && same != (c->options.among == TRM_AMONG_SAME)))
        return;
    const double d = reference_distance(view, c->options.metric, a, other);
    if (!(d <= c->options.radius))
        return;
    want->pair[want->pairs++] = (pair){a, b, d};
    want->near[a]++;
    if (c->two_sets)
        return;
    want->near[b]++;
    const int64_t x = root_of(want->group, a), y = root_of(want->group, b);
    want->group[x < y ? y : x] = x < y ? x : y;
}

static void find_all(const radius_case *c, wanted *want)
{
    const reference_store view = random_store_view(&c->store);
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    const int64_t asking = c->two_sets ? c->queries : view.rows,
                  others = c->two_sets ? view.rows - c->queries : view.rows;
    *want = (wanted){.pair = room(asking * others, sizeof *want->pair),
                     .rows = asking,
                     .near = room(asking, sizeof *want->near),
                     .group = room(asking, sizeof *want->group)};
    for (int64_t a = 0; a < asking; a++)
        want->group[a] = a;
    for (int64_t a = 0; a < asking; a++)
        for (int64_t b = c->two_sets ? 0 : a + 1; b < others; b++)
            want_pair(c, &view, a, b, want);
    for (int64_t i = 0; i < want->pairs; i++)
        trm_hash_sum_add(&hash, &want->pair[i], sizeof *want->pair);
    trm_hash_sum_text(&hash, want->hash);
    for (int64_t a = asking - 1; a >= 0; a--) {
        want->group[a] = reference_takes_part(&view, a) ? root_of(want->group, a) : -1;
        want->near[a] = reference_takes_part(&view, a) ? want->near[a] : -1;
    }
}

static void forget(wanted *want)
{
    free(want->pair);
    free(want->near);
    free(want->group);
}

static double draw_radius(test_random *random, const radius_case *c)
{
    const reference_store view = random_store_view(&c->store);
    const int64_t a = test_random_below(random, view.rows), b = test_random_below(random, view.rows);
    const double d = view.rows > 0 ? reference_distance(&view, c->options.metric, a, b) : 0.0;
    switch (test_random_below(random, 8)) {
    case 0:
        return c->options.metric == TRM_METRIC_DOT ? -1.0 : 0.0;
    case 1:
        return DBL_MAX;
    case 2: /* that one pair is just outside */
        return c->options.metric == TRM_METRIC_DOT || d > 0.0 ? nextafter(d, -INFINITY) : 0.0;
    default:
        return d;
    }
}

static void draw_case(int number, radius_case *c)
{
    test_random random = {(uint64_t)number + UINT64_C(7000003)};
    *c = (radius_case){.number = number, .two_sets = number % 2 == 1};
    trm_radius_options_init(&c->options);
    c->options.metric = (trm_metric)(number / 2 % 4);
    c->options.among = (trm_among)(number / 8 % 3);
    do {
        random_store_destroy(&c->store);
        random_store_create(test_random_next(&random), &c->store);
    } while (c->store.rows < 1);
    c->queries = c->two_sets ? test_random_below(&random, c->store.rows) : 0;
    c->options.radius = draw_radius(&random, c);
    c->options.bins = 1 + test_random_below(&random, TRM_RADIUS_BINS_MOST);
    c->options.groups = !c->two_sets && test_random_below(&random, 2) == 0;
    c->options.list = test_random_below(&random, 4) > 0;
    random_run_draw(&random, &c->run);
}

/* ---- what is found ---- */

typedef struct found {
    trm_radius_summary summary;
    pair *pair; /* by place; of all ranks */
    int64_t *times, room;
    int64_t *near, *group, rows;
    int64_t outside; /* places that there are not */
} found;

/* A trm_radius_fn. */
static trm_status take(void *context, const trm_radius_pairs *pairs, trm_error *err)
{
    found *f = context;
    (void)err;
    for (int64_t i = 0; i < pairs->count; i++) {
        if (pairs->place[i] < 0 || pairs->place[i] >= f->room) {
            f->outside++;
            continue;
        }
        f->pair[pairs->place[i]] = (pair){pairs->a[i], pairs->b[i], pairs->distance[i]};
        f->times[pairs->place[i]]++;
    }
    return TRM_OK;
}

/* A trm_radius_rows_fn. */
static trm_status take_rows(void *context, const trm_radius_rows *rows, trm_error *err)
{
    found *f = context;
    (void)err;
    for (int64_t i = 0; i < rows->count; i++) {
        f->near[rows->first + i] = rows->near[i] + 1; /* 0: not here */
        f->group[rows->first + i] = rows->group != NULL ? rows->group[i] + 2 : 1;
    }
    return TRM_OK;
}

static void add_up(int64_t *words, int64_t count)
{
    MPI_Allreduce(MPI_IN_PLACE, words, (int)count, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
}

static trm_status deal(const random_store *store, const random_run *how, test_random *random, int64_t begin,
                       int64_t count, trm_run *run, const trm_rows *base, trm_rows **rows, trm_error *err)
{
    int64_t *first = room(ranks + 1, sizeof *first);
    random_run_deal(random, how, count, first);
    const int64_t start = begin + first[rank], mine = first[rank + 1] - first[rank];
    free(first);
    const float *x = store->embeddings + start * store->dim;
    const int64_t *label = store->labels + start;
    return base != NULL ? trm_rows_create_queries(run, base, mine, x, label, rows, err)
                        : trm_rows_create(run, mine, store->dim, x, label, store->ignore_count,
                                          store->ignore_label, rows, err);
}

/* Runs the case as how says. The caller frees *out. */
static trm_status find(const radius_case *c, const random_run *how, int64_t pairs, found *out, trm_error *err)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    trm_radius_options options = c->options;
    test_random random = {(uint64_t)c->number};
    const int64_t asking = c->two_sets ? c->queries : c->store.rows;
    *out = (found){.pair = room(pairs, sizeof *out->pair),
                   .times = room(pairs, sizeof *out->times),
                   .room = pairs,
                   .near = room(asking, sizeof *out->near),
                   .group = room(asking, sizeof *out->group),
                   .rows = asking};
    trm_status status = trm_run_create(MPI_COMM_WORLD, &how->options, &run, err);
    if (status == TRM_OK)
        status = deal(&c->store, how, &random, c->queries, c->store.rows - c->queries, run, NULL, &rows, err);
    if (status == TRM_OK && c->two_sets)
        status = deal(&c->store, how, &random, 0, c->queries, run, rows, &queries, err);
    options.queries = queries;
    if (status == TRM_OK)
        status = trm_radius(run, rows, &options, take, take_rows, out, &out->summary, err);
    trm_rows_destroy(&queries);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    MPI_Allreduce(MPI_IN_PLACE, out->pair, (int)(3 * pairs), MPI_INT64_T, MPI_BOR, MPI_COMM_WORLD);
    add_up(out->times, pairs);
    add_up(out->near, asking);
    add_up(out->group, asking);
    add_up(&out->outside, 1);
    return status;
}

static void free_found(found *f)
{
    free(f->pair);
    free(f->times);
    free(f->near);
    free(f->group);
}

/* ---- comparing ---- */

static const char *histogram_differs(const wanted *want, const trm_radius_summary *got)
{
    int64_t bin[TRM_RADIUS_BINS_MOST] = {0};
    for (int64_t i = 0; i < want->pairs; i++) {
        int64_t at = 0;
        while (at < got->bins - 1 && want->pair[i].distance >= got->edges[at + 1])
            at++;
        bin[at]++;
    }
    return memcmp(bin, got->bin, (size_t)got->bins * sizeof *bin) != 0 ? "the histogram" : NULL;
}

static const char *groups_differ(const wanted *want, const trm_radius_summary *got)
{
    int64_t count = 0, rows = 0, last = INT64_MAX, *size = room(want->rows, sizeof *size);
    const char *wrong = NULL;
    for (int64_t row = 0; row < want->rows; row++)
        if (want->group[row] >= 0)
            size[want->group[row]]++;
    for (int64_t row = 0; row < want->rows; row++) {
        count += size[row] > 1;
        rows += size[row] > 1 ? size[row] : 0;
    }
    if (count != got->groups.count || rows != got->groups.rows)
        wrong = "the number of groups";
    if (got->groups.largest != (count < TRM_RADIUS_LARGEST ? count : TRM_RADIUS_LARGEST))
        wrong = "how many largest groups there are";
    for (int i = 0; i < got->groups.largest && wrong == NULL; i++) {
        const trm_radius_size one = got->groups.size[i];
        if (size[one.id] != one.count || one.count > last)
            wrong = "the largest groups";
        last = one.count;
    }
    free(size);
    return wrong;
}

static const char *rows_differ(const radius_case *c, const wanted *want, const found *got)
{
    int64_t isolated = 0, most = 0, which = -1;
    for (int64_t row = 0; row < want->rows; row++) {
        if (got->near[row] != want->near[row] + 1)
            return "the pairs of a row";
        if (got->group[row] != (c->options.groups ? want->group[row] + 2 : 1))
            return "the group of a row";
        isolated += want->near[row] == 0;
        which = want->near[row] > most ? row : which;
        most = want->near[row] > most ? want->near[row] : most;
    }
    if (got->summary.isolated != isolated)
        return "the isolated rows";
    if (got->summary.most.id != which || got->summary.most.count != most)
        return "the row with most";
    return c->options.groups ? groups_differ(want, &got->summary) : NULL;
}

static const char *differs(const radius_case *c, const wanted *want, const found *got)
{
    const trm_radius_summary *summary = &got->summary;
    if (summary->pairs != want->pairs || summary->list_bytes != 24 * want->pairs)
        return "the number of pairs";
    if (strcmp(summary->result_hash, want->hash) != 0)
        return "the hash";
    if (got->outside > 0)
        return "a place";
    for (int64_t i = 0; i < want->pairs; i++) {
        if (got->times[i] != c->options.list)
            return "how often a pair comes";
        if (c->options.list && memcmp(&got->pair[i], &want->pair[i], sizeof *want->pair) != 0)
            return "a pair";
    }
    const char *wrong = histogram_differs(want, summary);
    return wrong != NULL ? wrong : rows_differ(c, want, got);
}

static bool is_good(const radius_case *c, const random_run *how, const wanted *want, trm_status status,
                    const trm_error *err, const found *got)
{
    const char *wrong = status != TRM_OK ? err->text : differs(c, want, got);
    if (wrong != NULL && rank == 0) {
        fprintf(stderr, "case %d (%s, %lld rows x %d, %lld queries, metric %d, among %d, radius %g): %s\n",
                c->number, c->store.flavour, (long long)c->store.rows, c->store.dim, (long long)c->queries,
                (int)c->options.metric, (int)c->options.among, c->options.radius, wrong);
        random_run_describe(how);
    }
    return wrong == NULL;
}

static bool run_case(int number)
{
    radius_case c;
    wanted want;
    found got;
    trm_error err = TRM_ERROR_INIT;
    draw_case(number, &c);
    find_all(&c, &want);
    trm_status status = find(&c, &c.run, want.pairs, &got, &err);
    /* cosine refuses what has no direction: no random store has a zero row, but a product may be 0 */
    bool good = is_good(&c, &c.run, &want, status, &err, &got);
    const int64_t need = got.summary.ask.memory_bytes;
    free_found(&got);
    if (good) { /* with less memory than it took: in panels, if there is a way at all */
        random_run less = c.run;
        less.options.mem_per_rank = need - 1;
        status = find(&c, &less, want.pairs, &got, &err);
        good = status == TRM_ERR_MEMORY || is_good(&c, &less, &want, status, &err, &got);
        free_found(&got);
    }
    forget(&want);
    random_store_destroy(&c.store);
    return good;
}

static void test_random_cases(void **state)
{
    (void)state;
    bool good = true;
    for (int number = 0; number < CASES && good; number++)
        if (test_runs_round(number / ROUND, ranks))
            good = run_case(number);
    assert_true(everywhere(good));
}

/* ---- chains ---- */

/* Rows on a line, each next to two others, with a gap in the middle; their ids in another order. */
static bool run_chain(int64_t rows, int64_t step, double radius, bool gap)
{
    trm_run *run = NULL;
    trm_rows *arranged = NULL;
    trm_run_options how;
    trm_radius_options options;
    trm_error err = TRM_ERROR_INIT;
    found got = {.near = room(rows, sizeof *got.near), .group = room(rows, sizeof *got.group), .rows = rows};
    float *x = room(rows, sizeof *x);
    int64_t *label = room(rows, sizeof *label);
    for (int64_t i = 0; i < rows; i++) { /* step and rows have no common divisor: each place comes once */
        const int64_t at = i * step % rows;
        x[i] = (float)(at + (gap && at >= rows / 2 ? 10 : 0));
        label[i] = i % 7;
    }
    const int64_t first = rows * rank / ranks, last = rows * (rank + 1) / ranks;
    trm_run_options_init(&how);
    trm_radius_options_init(&options);
    options.metric = TRM_METRIC_L2;
    options.radius = radius;
    options.groups = true;
    trm_status status = trm_run_create(MPI_COMM_WORLD, &how, &run, &err);
    if (status == TRM_OK)
        status = trm_rows_create(run, last - first, 1, x + first, label + first, 0, NULL, &arranged, &err);
    if (status == TRM_OK)
        status = trm_radius(run, arranged, &options, NULL, take_rows, &got, &got.summary, &err);
    trm_rows_destroy(&arranged);
    trm_run_destroy(&run);
    add_up(got.group, rows);
    int64_t lowest = -1;
    for (int64_t i = 0; i < rows && gap && lowest < 0; i++)
        if (i * step % rows >= rows / 2)
            lowest = i;
    bool good = status == TRM_OK && got.summary.groups.count == 1 + gap && got.summary.groups.rows == rows &&
                got.summary.groups.rounds >= 1;
    for (int64_t i = 0; i < rows && good; i++)
        good = got.group[i] == (gap && i * step % rows >= rows / 2 ? lowest : 0) + 2;
    if (!good && rank == 0)
        fprintf(stderr, "chain of %lld, step %lld: %s, %lld groups, %lld rows, %d rounds\n", (long long)rows,
                (long long)step, status == TRM_OK ? "" : err.text, (long long)got.summary.groups.count,
                (long long)got.summary.groups.rows, got.summary.groups.rounds);
    free_found(&got);
    free(x);
    free(label);
    return good;
}

static void test_chains(void **state)
{
    (void)state;
    bool good = true;
    static const int64_t step[] = {1, 999, 7, 389, 501};
    for (size_t i = 0; i < sizeof step / sizeof *step && good; i++)
        good = run_chain(1000, step[i], 1.0, false) && run_chain(1000, step[i], 1.0, true) &&
               run_chain(1000, step[i], 5.5, true);
    assert_true(everywhere(good));
}

/* ---- stopped, and gone on with ---- */

enum { ROWS = 330, DIM = 5, QUERIES = 130, STOPS = 90 };

/* How a job runs; q: on the first so many ranks. */
typedef struct way {
    int q, replicate, threads;
    int64_t limit; /* bytes a rank; 0: none */
    bool two_sets, resumes;
} way;

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_radius_summary summary;
    int64_t came, sum; /* pairs; a sum of their places and ids, which is in no order */
    int64_t of_rows;   /* the same of rows and groups */
} outcome;

/* A trm_radius_fn. */
static trm_status add_pairs(void *context, const trm_radius_pairs *pairs, trm_error *err)
{
    outcome *o = context;
    (void)err;
    o->came += pairs->count;
    for (int64_t i = 0; i < pairs->count; i++)
        o->sum += pairs->place[i] * 7 + pairs->a[i] * 100003 + pairs->b[i];
    return TRM_OK;
}

/* A trm_radius_rows_fn. */
static trm_status add_rows(void *context, const trm_radius_rows *rows, trm_error *err)
{
    outcome *o = context;
    (void)err;
    for (int64_t i = 0; i < rows->count; i++)
        o->of_rows +=
            (rows->first + i) * 31 * rows->near[i] + (rows->group != NULL ? rows->group[i] * 13 : 0);
    return TRM_OK;
}

static trm_status bring(const radius_case *c, trm_run *run, const way *h, int64_t from, int64_t to,
                        const trm_rows *store, trm_rows **rows, trm_error *err)
{
    const int64_t first = from + (to - from) * rank / h->q,
                  count = from + (to - from) * (rank + 1) / h->q - first;
    const float *x = c->store.embeddings + first * DIM;
    const int64_t *label = c->store.labels + first;
    return store == NULL ? trm_rows_create(run, count, DIM, x, label, 0, NULL, rows, err)
                         : trm_rows_create_queries(run, store, count, x, label, rows, err);
}

static void run_on(MPI_Comm comm, const radius_case *c, const way *h, saver *k, outcome *o)
{
    trm_run *run = NULL;
    trm_rows *rows = NULL, *queries = NULL;
    trm_run_options run_options;
    trm_radius_options options = c->options;
    trm_run_options_init(&run_options);
    run_options.threads = h->threads;
    run_options.tile = 32;
    run_options.replicate = h->q % h->replicate == 0 ? h->replicate : 1;
    run_options.checkpoint = &k->checkpoint;
    options.list = true;
    run_options.mem_per_rank = h->limit;
    options.groups = !h->two_sets;
    if (h->resumes)
        o->status = saver_open(k, &o->err);
    if (o->status == TRM_OK)
        o->status = trm_run_create(comm, &run_options, &run, &o->err);
    if (o->status == TRM_OK)
        o->status = bring(c, run, h, h->two_sets ? QUERIES : 0, ROWS, NULL, &rows, &o->err);
    if (o->status == TRM_OK && h->two_sets)
        o->status = bring(c, run, h, 0, QUERIES, rows, &queries, &o->err);
    options.queries = queries;
    if (o->status == TRM_OK)
        o->status = trm_radius(run, rows, &options, add_pairs, add_rows, o, &o->summary, &o->err);
    trm_rows_destroy(&queries);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    MPI_Allreduce(MPI_IN_PLACE, &o->came, 3, MPI_INT64_T, MPI_SUM, comm);
}

/* Stopped by the last rank at its unit at; NULL path: nothing is kept. Collective on all ranks. */
static outcome run_job(const radius_case *c, const way *h, int at, const char *path, int *pieces)
{
    outcome o = {.status = TRM_OK, .err = TRM_ERROR_INIT};
    MPI_Comm comm;
    MPI_Comm_split(MPI_COMM_WORLD, rank < h->q ? 0 : MPI_UNDEFINED, rank, &comm);
    if (comm != MPI_COMM_NULL) {
        saver k;
        json_t *options = json_pack("{s:s}", "name", "radius");
        saver_begin(&k, comm, path, (trm_checkpoint_job){"radius", "1", options, ROWS, DIM, "f", 1});
        saver_wish(&k, rank == h->q - 1 ? at : SAVER_NEVER, TRM_WISH_STOP);
        k.checkpoint.resumes = h->resumes;
        run_on(comm, c, h, &k, &o);
        *pieces += k.pieces;
        saver_end(&k);
        json_decref(options);
        MPI_Comm_free(&comm);
    }
    MPI_Bcast(&o, (int)sizeof o, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Bcast(pieces, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return o;
}

/* Stops it again and again, each time on other ranks, teams and threads, until it ends: in panels first, where `panels` says
 * so, of which one at least is finished then. */
static bool goes_on(const radius_case *c, bool two_sets, bool panels)
{
    const way whole = {1, 1, 1, 0, two_sets, false};
    int stops = 0, pieces = 0;
    const outcome want = run_job(c, &whole, SAVER_NEVER, NULL, &pieces);
    const int64_t tight = want.summary.ask.memory_bytes - want.summary.pairs * 12;
    outcome got = {.status = TRM_ERR_STOPPED};
    for (int i = 0; got.status == TRM_ERR_STOPPED && i < STOPS; i++) {
        const way part = {1 + i % ranks, 1 + i % 2, 1 + i % 2, panels && i == 0 ? tight : 0, two_sets, i > 0};
        const int at = !panels ? 1 + i / 2 : i == 0 ? (two_sets ? 40 : 80) : 3 + i;
        got = run_job(c, &part, at, in_folder("radius.checkpoint"), &pieces);
        stops += got.status == TRM_ERR_STOPPED;
    }
    const bool good = got.status == TRM_OK && stops > (panels ? 0 : 2) && panels == (pieces > 0) &&
                      got.came == want.summary.pairs && got.sum == want.sum && got.of_rows == want.of_rows &&
                      got.summary.ask.reused > 0 && got.summary.pairs == want.summary.pairs &&
                      strcmp(got.summary.result_hash, want.summary.result_hash) == 0 &&
                      memcmp(got.summary.bin, want.summary.bin, sizeof want.summary.bin) == 0;
    if (!good && rank == 0)
        fprintf(stderr,
                "  two sets %d, panels %d: %d stops, %d pieces, %lld of %lld pairs, reused %lld: %s\n",
                two_sets, panels, stops, pieces, (long long)got.came, (long long)want.summary.pairs,
                (long long)got.summary.ask.reused, got.status == TRM_OK ? "ended" : got.err.text);
    return good;
}

static void test_goes_on_elsewhere(void **state)
{
    (void)state;
    static float x[ROWS * DIM];
    static int64_t label[ROWS];
    test_random random = {31};
    for (int64_t i = 0; i < ROWS * DIM; i++)
        x[i] = (float)test_random_below(&random, 9) * 0.25F;
    for (int64_t i = 0; i < ROWS; i++)
        label[i] = test_random_below(&random, 4);
    radius_case c = {.store = {.rows = ROWS, .dim = DIM, .embeddings = x, .labels = label}};
    trm_radius_options_init(&c.options);
    c.options.radius = 1.5;
    bool good = true;
    for (int two = 0; two < 2; two++)
        for (int panels = 0; panels < 2; panels++)
            good = everywhere(goes_on(&c, two, panels)) && good;
    assert_true(good);
}

/* ---- refusals ---- */

static trm_status refused(void (*change)(trm_radius_options *options), trm_error *err)
{
    static const float x[] = {0.0F, 0.0F, 1.0F, 0.0F, 2.0F};
    static const int64_t label[] = {0, 1, 0, 1, 0};
    trm_run *run = NULL;
    trm_rows *rows = NULL;
    trm_radius_summary summary;
    trm_radius_options options;
    trm_run_options how;
    const int64_t count = rank == 0 ? 5 : 0;
    trm_run_options_init(&how);
    trm_radius_options_init(&options);
    options.metric = TRM_METRIC_L2;
    options.radius = 0.0;
    change(&options);
    trm_status status = trm_run_create(MPI_COMM_WORLD, &how, &run, err);
    if (status == TRM_OK)
        status = trm_rows_create(run, count, 1, x, label, 0, NULL, &rows, err);
    if (status == TRM_OK)
        status = trm_radius(run, rows, &options, NULL, NULL, NULL, &summary, err);
    trm_rows_destroy(&rows);
    trm_run_destroy(&run);
    return status;
}

static void no_radius(trm_radius_options *options)
{
    options->radius = NAN;
}

static void below_0(trm_radius_options *options)
{
    options->radius = -1e-300;
}

static void endless(trm_radius_options *options)
{
    options->radius = INFINITY;
}

static void many_bins(trm_radius_options *options)
{
    options->bins = TRM_RADIUS_BINS_MOST + 1;
}

static void others_radius(trm_radius_options *options)
{
    options->radius = rank;
}

static void too_many(trm_radius_options *options)
{
    options->list = true;
    options->max_pairs = 2;
}

static void just_enough(trm_radius_options *options)
{
    options->list = true;
    options->max_pairs = 3;
}

static void below_0_of_dot(trm_radius_options *options)
{
    options->metric = TRM_METRIC_DOT;
    options->radius = -1.0;
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        void (*change)(trm_radius_options *options);
        trm_status status;
        const char *text;
    } tried[] = {{no_radius, TRM_ERR_USAGE, "--radius"},
                 {below_0, TRM_ERR_USAGE, "below 0"},
                 {endless, TRM_ERR_USAGE, "radius"},
                 {many_bins, TRM_ERR_USAGE, "bins"},
                 {others_radius, TRM_ERR_USAGE, "radius"},
                 {too_many, TRM_ERR_DATA, "3 pairs, more than the 2"},
                 {just_enough, TRM_OK, ""},
                 {below_0_of_dot, TRM_OK, ""}};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        trm_error err = TRM_ERROR_INIT;
        const trm_status status = refused(tried[i].change, &err);
        const bool one = tried[i].change == others_radius && ranks == 1;
        const bool good = status == (one ? TRM_OK : tried[i].status) &&
                          (status == TRM_OK || strstr(err.text, tried[i].text) != NULL);
        if (!good && rank == 0)
            fprintf(stderr, "refusal %zu: status %d, '%s'\n", i, (int)status, err.text);
        assert_true(everywhere(good));
    }
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 3000);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_cases),
        cmocka_unit_test(test_chains),
        cmocka_unit_test_setup_teardown(test_goes_on_elsewhere, make_folder, remove_folder),
        cmocka_unit_test(test_refusals),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
