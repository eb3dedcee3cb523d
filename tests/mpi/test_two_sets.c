/* A sweep over one set of rows with another, and over one set with itself, by a query of the test's own: of each
 * anchor the nearest rows, and how many are within a radius, against all distances; stopped and gone on with, too.
 *
 * The query has a field of each kind: found lists (which may be merged twice), found counts (which may not), a
 * radius that is given, and half of it, which is made. */
#include "base/error.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/rounds.h"
#include "support/scratch.h"
#include "sweep/sweep.h"

#include <malloc.h>
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

enum { CASES = 192, ROUND = 4 * 4, NEAREST = 3, NEVER = 1 << 30 }; /* a round: all metrics, one set in four */

/* ---- the query ---- */

enum { FIELD_LIST, FIELD_COUNT, FIELD_RADIUS, FIELD_MADE };
enum { SHAPE_LIST, SHAPE_ONE };

static trm_candidate *list_of(const trm_state *state, int64_t row)
{
    return (trm_candidate *)state->field[FIELD_LIST] + trm_state_first(state, SHAPE_LIST, row);
}

static double radius_of(const trm_state *state, int64_t row)
{
    const double *made = state->field[FIELD_MADE];
    return 2.0 * made[trm_state_first(state, SHAPE_ONE, row)];
}

static void prepare(const trm_query *query, trm_state *state, int64_t row)
{
    (void)query;
    if (trm_state_count(state, SHAPE_ONE, row) == 0)
        return;
    const int64_t slot = trm_state_first(state, SHAPE_ONE, row);
    const double *given = state->field[FIELD_RADIUS];
    ((double *)state->field[FIELD_MADE])[slot] = given[slot] / 2.0;
}

static void window(const trm_query *query, const trm_state *state, int64_t row, double *lo, double *hi)
{
    (void)query;
    *lo = -INFINITY;
    *hi = fmax(list_of(state, row)[NEAREST - 1].key, radius_of(state, row));
}

static bool wants(const trm_query *query, const trm_state *state, int64_t row, double lo, double hi)
{
    (void)query;
    (void)hi;
    return lo <= list_of(state, row)[NEAREST - 1].key || lo <= radius_of(state, row);
}

static bool offer(const trm_query *query, trm_state *state, int64_t row, const trm_seen *seen, int64_t *tally)
{
    (void)query;
    int64_t *count = (int64_t *)state->field[FIELD_COUNT] + trm_state_first(state, SHAPE_ONE, row);
    bool changed = false;
    for (int64_t i = 0; i < seen->n; i++) {
        const bool within = seen->d[i] <= radius_of(state, row);
        *count += within;
        tally[1] += within;
        changed |=
            trm_candidate_insert(list_of(state, row), NEAREST, (trm_candidate){seen->d[i], seen->id[i]});
    }
    return changed;
}

#define QUERY(relation_of, all)                                                                              \
    {                                                                                                        \
        .name = "nearest and near", .relation = (relation_of), .every_pair = (all), .shapes = 2,             \
        .fields = 4,                                                                                         \
        .field = {{"nearest", TRM_FIELD_FOUND, SHAPE_LIST, sizeof(trm_candidate), &trm_merge_list},          \
                  {"near", TRM_FIELD_FOUND, SHAPE_ONE, sizeof(int64_t), &trm_merge_sum},                     \
                  {"radius", TRM_FIELD_GIVEN, SHAPE_ONE, sizeof(double), NULL},                              \
                  {"half", TRM_FIELD_MADE, SHAPE_ONE, sizeof(double), NULL}},                                \
        .tally = 2, .prepare = prepare, .window = window, .wants = wants, .offer = offer                     \
    }

static const trm_query_type types[] = {QUERY(TRM_ANY_OTHER, false), QUERY(TRM_SAME_LABEL, false),
                                       QUERY(TRM_OTHER_LABEL, false), QUERY(TRM_ANY_OTHER, true),
                                       QUERY(TRM_SAME_LABEL, true)};
enum { TYPES = sizeof types / sizeof *types };

/* ---- a case ---- */

/* Rows of one store: the first ones are the first set, the others the second; or all are one set. */
typedef struct sweep_case {
    int number;
    random_store store;
    int64_t begin[2], count[2]; /* of each set */
    bool one_set, asks[2];
    trm_metric metric;
    double radius;
    const trm_query_type *type;
    random_run run;
} sweep_case;

static bool takes_part(const sweep_case *c, int set, int64_t row)
{
    const reference_store view = random_store_view(&c->store);
    return reference_takes_part(&view, c->begin[set] + row);
}

/* May row b of the other set be told to row a of set? */
static bool is_related(const sweep_case *c, int set, int64_t a, int64_t b)
{
    const int other = c->one_set ? set : 1 - set;
    const int64_t *label = c->store.labels;
    const bool same = label[c->begin[set] + a] == label[c->begin[other] + b];
    if ((c->one_set && a == b) || !takes_part(c, other, b))
        return false;
    return c->type->relation == TRM_ANY_OTHER || same == (c->type->relation == TRM_SAME_LABEL);
}

/* What there is to find for row a of a set, by all distances. */
static void find(const sweep_case *c, int set, int64_t a, trm_candidate *list, int64_t *count)
{
    const reference_store view = random_store_view(&c->store);
    const int other = c->one_set ? set : 1 - set;
    *count = 0;
    for (int k = 0; k < NEAREST; k++)
        list[k] = TRM_NO_CANDIDATE;
    for (int64_t b = 0; b < c->count[other]; b++) {
        if (!is_related(c, set, a, b))
            continue;
        const double d = reference_distance(&view, c->metric, c->begin[set] + a, c->begin[other] + b);
        trm_candidate seen = {d, b};
        *count += d <= c->radius;
        for (int k = 0; k < NEAREST; k++)
            if (trm_candidate_less(seen, list[k])) {
                const trm_candidate larger = list[k];
                list[k] = seen;
                seen = larger;
            }
    }
}

/* Sets of very different sizes: fewer rows than ranks, one, as many. */
static void cut_store(test_random *random, sweep_case *c)
{
    const int64_t rows = c->store.rows;
    const int64_t sizes[] = {1, ranks > 1 ? ranks - 1 : 1, rows / 2, test_random_below(random, rows + 1)};
    int64_t first = sizes[test_random_below(random, 4)];
    first = first < rows ? first : rows - 1;
    first = test_random_below(random, 2) ? first : rows - first;
    c->begin[0] = 0;
    c->count[0] = c->one_set ? rows : first;
    c->begin[1] = c->count[0];
    c->count[1] = rows - c->count[0];
}

static void draw_case(int number, sweep_case *c)
{
    test_random random = {(uint64_t)number + UINT64_C(4000037)};
    *c = (sweep_case){.number = number};
    do { /* with at least two rows */
        random_store_destroy(&c->store);
        random_store_create(test_random_next(&random), &c->store);
    } while (c->store.rows < 2);
    const int asks = (int)test_random_below(&random, 3);
    c->one_set = number % 4 == 0;
    c->asks[0] = c->one_set || asks != 1;
    c->asks[1] = !c->one_set && asks != 0;
    c->metric = (trm_metric)(number / 4 % 4);
    c->type = &types[test_random_below(&random, TYPES)];
    cut_store(&random, c);
    const reference_store view = random_store_view(&c->store);
    c->radius = reference_distance(&view, c->metric, test_random_below(&random, c->store.rows),
                                   test_random_below(&random, c->store.rows));
    random_run_draw(&random, &c->run);
}

/* ---- somebody who stops a sweep and keeps what it found ---- */

/* What is found of a set, of all anchors in the order of arranged places. */
typedef struct kept_set {
    int64_t rows;
    trm_candidate *list; /* NEAREST a row */
    int64_t *count;
} kept_set;

typedef struct saver {
    struct trm_checkpoint checkpoint;
    const trm_rows *rows[2];
    trm_state *state[2];
    trm_sweep *sweep;
    int asked, at, what; /* wishes what at every at-th unit of rank 0 */
    int saved;
    kept_set set[2];
    trm_done done;
    int64_t tally[TRM_TALLY_WORDS];
} saver;

static int wish(void *context)
{
    saver *k = context;
    return rank == 0 && ++k->asked % k->at == 0 ? k->what : 0;
}

/* There is a place to keep things in; the sweep itself is asked what it has. */
static trm_status is_kept(void *context, int parts, const trm_checkpoint_part *part, bool stop,
                          trm_error *err)
{
    (void)context;
    (void)parts;
    (void)part;
    (void)stop;
    (void)err;
    return TRM_OK;
}

static void *room(int64_t count, size_t size)
{
    void *memory = calloc((size_t)count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

static void keep_set(const trm_rows *rows, const trm_state *state, kept_set *set)
{
    free(set->list);
    free(set->count);
    *set = (kept_set){rows->total, room(rows->total * NEAREST, sizeof *set->list),
                      room(rows->total, sizeof *set->count)};
    if (state == NULL)
        return;
    if (rows->member == 0 && rows->count > 0) {
        memcpy(set->list + rows->first * NEAREST, state->field[FIELD_LIST],
               (size_t)(rows->count * NEAREST) * sizeof *set->list);
        memcpy(set->count + rows->first, state->field[FIELD_COUNT], (size_t)rows->count * sizeof *set->count);
    }
    /* every slot is one team's, and words of 0 bits elsewhere */
    MPI_Allreduce(MPI_IN_PLACE, set->list, (int)(2 * NEAREST * rows->total), MPI_INT64_T, MPI_BOR,
                  MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, set->count, (int)rows->total, MPI_INT64_T, MPI_BOR, MPI_COMM_WORLD);
}

/* All ranks' rectangles, to all. */
static void keep_done(const trm_done *done, trm_done *all)
{
    trm_error err = TRM_ERROR_INIT;
    trm_done_clear(all);
    for (int r = 0; r < ranks; r++) {
        int count = (int)done->count;
        MPI_Bcast(&count, 1, MPI_INT, r, MPI_COMM_WORLD);
        trm_rectangle *some = room(count, sizeof *some);
        if (rank == r && count > 0)
            memcpy(some, done->rectangle, (size_t)count * sizeof *some);
        MPI_Bcast(some, 4 * count, MPI_INT64_T, r, MPI_COMM_WORLD);
        for (int i = 0; i < count; i++)
            if (trm_done_add(all, some[i], &err) != TRM_OK)
                abort();
        free(some);
    }
}

/* A trm_sweep_save_fn. */
static trm_status save(void *context, const trm_done *done, bool stop, trm_error *err)
{
    saver *k = context;
    (void)stop;
    (void)err;
    k->saved++;
    for (int set = 0; set < 2; set++)
        if (k->rows[set] != NULL)
            keep_set(k->rows[set], k->state[set], &k->set[set]);
    keep_done(done, &k->done);
    trm_sweep_tally(k->sweep, k->tally);
    MPI_Allreduce(MPI_IN_PLACE, k->tally, TRM_TALLY_WORDS, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return TRM_OK;
}

/* What was found before a sweep was stopped, into a state of another cut: counts on member 0 alone. */
static void take_up(const kept_set *set, const trm_rows *rows, trm_state *state)
{
    if (state == NULL || rows->count == 0)
        return;
    memcpy(state->field[FIELD_LIST], set->list + rows->first * NEAREST,
           (size_t)(rows->count * NEAREST) * sizeof *set->list);
    if (rows->member == 0)
        memcpy(state->field[FIELD_COUNT], set->count + rows->first, (size_t)rows->count * sizeof *set->count);
}

/* ---- running a case ---- */

typedef struct setup {
    trm_run *run;
    trm_rows *rows[2];
    trm_state *state[2];
    trm_sweep *sweep;
} setup;

/* State of a set's rows, which are all anchors, with the radius given. */
static trm_status make_state(const sweep_case *c, const trm_rows *rows, trm_state **state, trm_error *err)
{
    int64_t *offset[] = {room(rows->count + 1, sizeof(int64_t)), room(rows->count + 1, sizeof(int64_t))};
    for (int64_t row = 0; row <= rows->count; row++) {
        offset[SHAPE_LIST][row] = row * NEAREST;
        offset[SHAPE_ONE][row] = row;
    }
    trm_status status = trm_state_create(c->type, rows->count, rows->id, rows->label,
                                         (const int64_t *const *)offset, state, err);
    for (int64_t row = 0; status == TRM_OK && row < rows->count; row++)
        ((double *)(*state)->field[FIELD_RADIUS])[row] = c->radius;
    if (status == TRM_OK)
        status = trm_state_ask(*state, err);
    free(offset[0]);
    free(offset[1]);
    return status;
}

static trm_status deal_set(const sweep_case *c, int set, test_random *random, setup *s, trm_error *err)
{
    const random_store *store = &c->store;
    int64_t *first = room(ranks + 1, sizeof *first);
    random_run_deal(random, &c->run, c->count[set], first);
    const int64_t start = c->begin[set] + first[rank], count = first[rank + 1] - first[rank];
    free(first);
    trm_status status =
        trm_rows_create(s->run, count, store->dim, store->embeddings + start * store->dim,
                        store->labels + start, store->ignore_count, store->ignore_label, &s->rows[set], err);
    if (status == TRM_OK && c->asks[set])
        status = make_state(c, s->rows[set], &s->state[set], err);
    return status;
}

static trm_status set_up(const sweep_case *c, const random_run *how, saver *k, setup *s, trm_error *err)
{
    trm_run_options options = how->options;
    test_random random = {(uint64_t)c->number};
    *s = (setup){0};
    options.checkpoint = &k->checkpoint;
    trm_status status = trm_run_create(MPI_COMM_WORLD, &options, &s->run, err);
    for (int set = 0; set < (c->one_set ? 1 : 2) && status == TRM_OK; set++)
        status = deal_set(c, set, &random, s, err);
    if (status == TRM_OK)
        status = trm_sweep_create(s->run, s->rows[0], s->rows[1], c->metric, &s->sweep, err);
    if (status != TRM_OK)
        return status;
    k->sweep = s->sweep;
    for (int set = 0; set < 2; set++) {
        k->rows[set] = s->rows[set];
        k->state[set] = s->state[set];
    }
    trm_sweep_on_save(s->sweep, save, k);
    return TRM_OK;
}

static void take_down(setup *s)
{
    trm_sweep_destroy(&s->sweep);
    for (int set = 0; set < 2; set++) {
        trm_state_destroy(&s->state[set]);
        trm_rows_destroy(&s->rows[set]);
    }
    trm_run_destroy(&s->run);
}

/* Runs the case's sweep as how says, on from where an earlier run was stopped, if one was. */
static trm_status run(const sweep_case *c, const random_run *how, saver *k, setup *s, trm_error *err)
{
    trm_sweep_counts counts = {0};
    trm_query query = {c->type, NULL};
    trm_status status = set_up(c, how, k, s, err);
    if (status == TRM_OK && k->saved > 0) {
        for (int set = 0; set < 2; set++)
            take_up(&k->set[set], s->rows[set], s->state[set]);
        if (rank == 0)
            trm_sweep_add_tally(s->sweep, k->tally);
        status = trm_sweep_skip(s->sweep, &k->done, err);
    }
    if (status == TRM_OK)
        status = trm_sweep_run(s->sweep, "test", (trm_asked){c->asks[0] ? &query : NULL, s->state[0]},
                               (trm_asked){c->asks[1] ? &query : NULL, s->state[1]}, &counts, err);
    return status;
}

static int64_t differing_rows(const sweep_case *c, int set, const setup *s, int64_t *near)
{
    const trm_rows *rows = s->rows[set];
    const trm_state *state = s->state[set];
    int64_t wrong = 0;
    for (int64_t row = 0; row < rows->count; row++) {
        trm_candidate list[NEAREST];
        int64_t count;
        find(c, set, rows->id[row], list, &count);
        wrong += memcmp(list, list_of(state, row), sizeof list) != 0 ||
                 count != ((const int64_t *)state->field[FIELD_COUNT])[row];
        *near += rows->member == 0 ? count : 0;
    }
    return wrong;
}

/* Rows of all ranks for which something else was found than there is; and whether the tally is wrong. */
static int64_t wrong_in(const sweep_case *c, const setup *s, int64_t *found)
{
    int64_t sums[3] = {0}, tally[TRM_TALLY_WORDS];
    for (int set = 0; set < 2; set++)
        if (c->asks[set])
            sums[0] += differing_rows(c, set, s, &sums[1]);
    trm_sweep_tally(s->sweep, tally);
    sums[2] = tally[1];
    MPI_Allreduce(MPI_IN_PLACE, sums, 3, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    *found += sums[1];
    return sums[0] + (sums[1] != sums[2]);
}

static void describe(const sweep_case *c, const random_run *how, trm_status status, const trm_error *err,
                     int64_t wrong)
{
    static const char *const relations[] = {"same label", "other label", "any other"};
    if (rank != 0)
        return;
    fprintf(stderr,
            "case %d: status %d, %s; %lld wrong\n  %s of %lld and %lld rows x %d, %s; asks %d %d\n"
            "  %s, metric %s%s, radius %g\n",
            c->number, (int)status, err->text, (long long)wrong, c->one_set ? "one set" : "two sets",
            (long long)c->count[0], (long long)c->count[1], c->store.dim, c->store.flavour, c->asks[0],
            c->asks[1], relations[c->type->relation], trm_metric_name(c->metric),
            c->type->every_pair ? ", every pair" : "", c->radius);
    random_run_describe(how);
}

static void free_saver(saver *k)
{
    for (int set = 0; set < 2; set++) {
        free(k->set[set].list);
        free(k->set[set].count);
    }
    trm_done_free(&k->done);
}

static saver saver_that(int what, int at)
{
    saver k = {.what = what, .at = at};
    k.checkpoint = (struct trm_checkpoint){.wish = wish, .save = is_kept, .unit_tiles = 1};
    return k;
}

/* Whether a case ends right though it is saved, or stopped and gone on with in another cut, every few units. */
static bool case_agrees(int number, int what, int64_t *found, int64_t *saved)
{
    enum { MOST_STOPS = 6 };
    sweep_case c;
    draw_case(number, &c);
    test_random random = {(uint64_t)number + 5};
    random_run how = c.run;
    saver k = saver_that(what, 1 + number % 5);
    k.checkpoint.context = &k;
    bool good = false;
    for (int stops = 0; !good; stops++) {
        setup s;
        trm_error err = TRM_ERROR_INIT;
        k.asked = 0;
        if (stops == MOST_STOPS)
            k.at = NEVER;
        const trm_status status = run(&c, &how, &k, &s, &err);
        const int64_t wrong = status == TRM_OK ? wrong_in(&c, &s, found) : 0;
        good = status == TRM_OK && wrong == 0;
        take_down(&s);
        if (!good && status != TRM_ERR_STOPPED) {
            describe(&c, &how, status, &err, wrong);
            break;
        }
        random_run_draw(&random, &how);
    }
    *saved += k.saved;
    k.checkpoint.context = NULL;
    free_saver(&k);
    random_store_destroy(&c.store);
    return everywhere(good);
}

static void run_cases(int what, int cases, bool saves)
{
    const char *only = getenv("TRIMINE_TEST_CASE");
    const int from = only ? atoi(only) : 0, to = only ? from + 1 : cases;
    int64_t found = 0, saved = 0;
    int failures = 0;
    for (int number = from; number < to && failures < 5; number++)
        if (only != NULL || test_runs_round(number / ROUND, ranks))
            failures += !case_agrees(number, what, &found, &saved);
    assert_int_equal(failures, 0);
    if (only == NULL) {
        assert_true(found > 1000); /* none agrees on nothing */
        assert_int_equal(saved > 0, saves);
    }
}

static void what_is_found_is_what_there_is(void **state)
{
    (void)state;
    run_cases(0, CASES, false);
}

static void saving_changes_nothing(void **state)
{
    (void)state;
    run_cases(TRM_WISH_SAVE, CASES * 2 / 3, true);
}

static void a_sweep_that_was_stopped_goes_on_in_another_cut(void **state)
{
    (void)state;
    run_cases(TRM_WISH_STOP, CASES * 2 / 3, true);
}

/* ---- memory ---- */

static int64_t memory_of_this_process(const char *key)
{
    char line[256];
    int64_t kilobytes = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kilobytes = strtoll(line + strlen(key), NULL, 10);
    if (file != NULL)
        fclose(file);
    return 1024 * kilobytes;
}

/* The peak of memory begins anew. Whether that can be; and whether it is the program's, not a sanitizer's. */
static bool forget_peak(void)
{
#if defined __SANITIZE_ADDRESS__
    return false;
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
    return false;
#endif
#endif
    FILE *file = fopen("/proc/self/clear_refs", "w");
    const bool good = file != NULL && fputs("5", file) >= 0;
    return (file == NULL || fclose(file) == 0) && good;
}

/* Rows that need no store of their own: short ones of a small class each. */
static void fill(random_store *store, int64_t rows, int dim)
{
    test_random random = {5};
    *store = (random_store){.rows = rows, .dim = dim, .flavour = "many"};
    store->embeddings = room(rows * dim, sizeof *store->embeddings);
    store->labels = room(rows, sizeof *store->labels);
    for (int64_t i = 0; i < rows * dim; i++)
        store->embeddings[i] = test_random_unit(&random);
    for (int64_t i = 0; i < rows; i++)
        store->labels[i] = i % (rows / 5);
}

/* What a sweep takes beside rows and states is no more than was planned. */
static void the_plan_of_two_sets_is_kept(void **state)
{
    (void)state;
    enum { BASE = 6000000 }; /* of MPI and the C library */
    static const struct {
        int64_t own, other;
        int dim;
        bool asks[2];
    } cases[] = {{1000, 20000, 256, {true, false}}, /* the rows weigh */
                 {20000, 1000, 256, {false, true}}, /* those that stay */
                 {50, 200000, 2, {false, true}}};   /* states that travel */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sweep_case c = {.type = &types[0], .metric = TRM_METRIC_SQL2, .radius = 0.0};
        trm_error err = TRM_ERROR_INIT;
        setup s;
        fill(&c.store, cases[i].own + cases[i].other, cases[i].dim);
        memcpy(c.asks, cases[i].asks, sizeof c.asks);
        c.count[0] = c.begin[1] = cases[i].own;
        c.count[1] = cases[i].other;
        trm_run_options_init(&c.run.options);
        c.run.options.threads = c.run.options.replicate = 1;
        saver k = saver_that(0, NEVER);
        k.checkpoint.context = &k;
        trm_status status = set_up(&c, &c.run, &k, &s, &err);
        assert_true(everywhere(status == TRM_OK));
        trm_sweep_destroy(&s.sweep);
        trm_sweep_size size[2] = {{NULL, NULL}, {NULL, NULL}};
        int64_t slots[2][TRM_SHAPES] = {{0}}, held = 0, plan = 0;
        for (int set = 0; set < 2; set++) {
            const int64_t shard = trm_rows_largest_shard(s.rows[set]);
            slots[set][SHAPE_LIST] = shard * NEAREST;
            slots[set][SHAPE_ONE] = shard;
            if (c.asks[set])
                size[set] = (trm_sweep_size){c.type, slots[set]};
            held += shard * trm_rows_bytes_per_row(c.store.dim);
            for (int kind = TRM_FIELD_FOUND; kind <= TRM_FIELD_MADE && c.asks[set]; kind++)
                held += trm_fields_bytes(c.type, (trm_field_kind)kind, slots[set]);
        }
        plan = trm_sweep_bytes(s.run, s.rows[0], trm_rows_largest_shard(s.rows[0]), s.rows[1],
                               trm_rows_largest_shard(s.rows[1])) +
               trm_sweep_state_bytes(s.rows[0], size[0], &size[1]) - held;
        malloc_trim(0);
        const bool peaks = forget_peak();
        const int64_t before = memory_of_this_process("VmRSS:");
        trm_sweep_counts counts = {0};
        trm_query query = {c.type, NULL};
        status = trm_sweep_create(s.run, s.rows[0], s.rows[1], c.metric, &s.sweep, &err);
        if (status == TRM_OK)
            status = trm_sweep_run(s.sweep, "test", (trm_asked){c.asks[0] ? &query : NULL, s.state[0]},
                                   (trm_asked){c.asks[1] ? &query : NULL, s.state[1]}, &counts, &err);
        const int64_t took = memory_of_this_process("VmHWM:") - before;
        const bool good = status == TRM_OK && took < plan * 105 / 100 + BASE;
        if (!good)
            fprintf(stderr, "case %d: %s %lld bytes taken, %lld planned\n", (int)i, err.text, (long long)took,
                    (long long)plan);
        take_down(&s);
        random_store_destroy(&c.store);
        assert_true(everywhere(good || (!peaks && status == TRM_OK)));
    }
}

static void sets_on_different_teams_are_refused(void **state)
{
    (void)state;
    sweep_case c = {.type = &types[1], .metric = TRM_METRIC_SQL2};
    trm_error err = TRM_ERROR_INIT;
    setup s;
    trm_sweep *sweep = NULL;
    fill(&c.store, 100, 3);
    c.count[0] = c.count[1] = c.begin[1] = 50;
    trm_run_options_init(&c.run.options);
    saver k = saver_that(0, NEVER);
    assert_true(everywhere(set_up(&c, &c.run, &k, &s, &err) == TRM_OK));
    const int teams = s.rows[1]->teams;
    s.rows[1]->teams = teams + (rank == ranks - 1);
    const trm_status status = trm_sweep_create(s.run, s.rows[0], s.rows[1], c.metric, &sweep, &err);
    s.rows[1]->teams = teams;
    assert_true(everywhere(status == TRM_ERR_INTERNAL && sweep == NULL &&
                           strstr(err.text, "lay them out alike") != NULL));
    take_down(&s);
    random_store_destroy(&c.store);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_is_what_there_is),
        cmocka_unit_test(saving_changes_nothing),
        cmocka_unit_test(a_sweep_that_was_stopped_goes_on_in_another_cut),
        cmocka_unit_test(the_plan_of_two_sets_is_kept),
        cmocka_unit_test(sets_on_different_teams_are_refused),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
