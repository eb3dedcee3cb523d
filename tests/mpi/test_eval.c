/* Evaluation against all distances, bit for bit: random stores full of ties and copies, by label in one set and two, and by
 * pairs, in panels; cases that are known; and what is refused. */
#include "base/error.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "support/mined.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/rounds.h"
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

enum {
    CASES = 240,
    ROUND = 4 * 3 * 2
}; /* a round: all metrics, ways to say what is relevant, all ranks or not */
enum { SCORES = sizeof(trm_eval_values) / sizeof(double), TIES = 3, SINGLE = 4 };

static void *room(int64_t count, size_t size)
{
    void *memory = calloc((size_t)count + 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* ---- a case ---- */

typedef enum relevance { ONE_SET, TWO_SETS, PAIRS } relevance;

typedef struct eval_case {
    int number;
    random_store store;
    relevance how;
    int64_t cut; /* two sets: the first rows are queries */
    int64_t pairs, *query, *positive;
    trm_eval_options options;
    int64_t at[TRM_EVAL_AT];
    int at_count;
    bool by_r, by_k, all_relevant; /* which ranks decide, and what must be known */
    random_run run;
    bool panels; /* as little memory as will do */
} eval_case;

static const char *const lists_of_metrics[] = {
    "all",         "all",          "all",         "mrr,precision_at_1", "hit_rate",
    "r_precision", "map_at_r,mrr", "recall,ndcg", "precision",          "hit_rate,mrr"};
enum { LISTS = sizeof lists_of_metrics / sizeof *lists_of_metrics };

static void draw_pairs(test_random *random, eval_case *c)
{
    const int64_t store = c->store.rows - c->cut;
    if (c->cut == 0 || store == 0)
        return;
    c->pairs = test_random_below(random, 3 * c->cut + 1);
    c->query = room(c->pairs, sizeof *c->query);
    c->positive = room(c->pairs, sizeof *c->positive);
    for (int64_t i = 0; i < c->pairs; i++) {
        c->query[i] = test_random_below(random, c->cut);
        c->positive[i] = test_random_below(random, store);
    }
}

static void draw_case(int number, eval_case *c)
{
    static const char *const ats[] = {"1,5,10,100", "1", "3", "2,7", "1,1000000", "1099511627776"};
    static const int64_t values[][TRM_EVAL_AT] = {{1, 5, 10, 100}, {1},          {3},
                                                  {2, 7},          {1, 1000000}, {1099511627776}};
    static const int counts[] = {4, 1, 1, 2, 2, 1};
    test_random random = {(uint64_t)number + UINT64_C(9000011)};
    *c = (eval_case){.number = number};
    random_store_create(test_random_next(&random), &c->store);
    trm_eval_options_init(&c->options);
    c->options.metric = (trm_metric)(number % 4);
    c->how = (relevance)(number / 4 % 3);
    c->options.all_ranks = number / 12 % 2 == 1;
    if (c->how == PAIRS)
        c->store.ignore_count = 0;
    c->cut = c->how != ONE_SET ? test_random_below(&random, c->store.rows + 1) : 0;
    if (c->how == PAIRS)
        draw_pairs(&random, c);
    const int at = (int)test_random_below(&random, 6), list = (int)test_random_below(&random, LISTS);
    c->options.at = ats[at];
    c->at_count = counts[at];
    memcpy(c->at, values[at], sizeof c->at);
    c->options.metrics = lists_of_metrics[list];
    c->by_r = list < 3 || list == 5 || list == 6;
    c->by_k = list < 3 || list == 4 || list >= 7;
    c->all_relevant = c->by_r || c->options.all_ranks;
    c->options.per_class = c->how != PAIRS && test_random_below(&random, 2);
    c->panels = test_random_below(&random, 3) == 0;
    random_run_draw(&random, &c->run);
}

static void free_case(eval_case *c)
{
    free(c->query);
    free(c->positive);
    random_store_destroy(&c->store);
}

static void describe(const eval_case *c)
{
    if (rank != 0)
        return;
    fprintf(stderr, "  case %d: %s, %d rows x %d, %d queries, %d pairs, way %d, metric %d, at %s, %s%s%s\n",
            c->number, c->store.flavour, (int)c->store.rows, c->store.dim, (int)c->cut, (int)c->pairs,
            (int)c->how, (int)c->options.metric, c->options.at, c->options.metrics,
            c->options.all_ranks ? ", all ranks" : "", c->panels ? ", panels" : "");
    random_run_describe(&c->run);
}

static bool takes_part(const eval_case *c, int64_t row)
{
    const reference_store view = random_store_view(&c->store);
    return reference_takes_part(&view, row);
}

/* ---- by all distances ---- */

typedef struct other {
    double d;
    int64_t id;
    bool relevant;
} other;

static int compare_others(const void *a, const void *b)
{
    const other *x = a, *y = b;
    return x->d != y->d ? (x->d < y->d ? -1 : 1) : (x->id > y->id) - (x->id < y->id);
}

static bool is_relevant(const eval_case *c, int64_t row, int64_t to)
{
    if (c->how != PAIRS)
        return c->store.labels[row] == c->store.labels[to];
    for (int64_t i = 0; i < c->pairs; i++)
        if (c->query[i] == row && c->positive[i] == to - c->cut)
            return true;
    return false;
}

/* What there is to find of a row that asks. */
typedef struct wanted {
    int64_t relevant, count;
    trm_eval_rank *rank; /* count of relevant ones; owned */
    double value[TIES][SCORES];
} wanted;

static int64_t rank_of(const trm_eval_rank *of, int ties)
{
    return ties == 0 ? of->rank : ties == 1 ? of->low : of->high;
}

/* As the formulas say it, from all ranks. */
static void score(const eval_case *c, wanted *w)
{
    for (int ties = 0; ties < TIES; ties++) {
        double *value = w->value[ties], precisions = 0.0;
        int64_t first = rank_of(&w->rank[0], ties), hits_at_r = 0;
        for (int64_t i = 0; i < w->relevant; i++)
            if (rank_of(&w->rank[i], ties) <= w->relevant) {
                hits_at_r++;
                precisions += (double)(i + 1) / (double)rank_of(&w->rank[i], ties);
            }
        value[0] = first == 1 ? 1.0 : 0.0;
        value[1] = (double)hits_at_r / (double)w->relevant;
        value[2] = precisions / (double)w->relevant;
        value[3] = 1.0 / (double)first;
        for (int k = 0; k < c->at_count; k++) {
            double gain = 0.0, ideal = 0.0;
            int64_t hits = 0;
            for (int64_t i = 0; i < w->relevant; i++) {
                if (rank_of(&w->rank[i], ties) <= c->at[k]) {
                    hits++;
                    gain += 1.0 / log2((double)rank_of(&w->rank[i], ties) + 1.0);
                }
                if (i < c->at[k])
                    ideal += 1.0 / log2((double)i + 2.0);
            }
            value[SINGLE + k] = hits > 0 ? 1.0 : 0.0;
            value[SINGLE + TRM_EVAL_AT + k] = (double)hits / (double)w->relevant;
            value[SINGLE + 2 * TRM_EVAL_AT + k] = (double)hits / (double)c->at[k];
            value[SINGLE + 3 * TRM_EVAL_AT + k] = gain / ideal;
        }
    }
}

/* Those that are to be handed out. */
static void cut_off(const eval_case *c, wanted *w)
{
    const int64_t last_k = c->at[c->at_count - 1];
    int64_t limit = c->by_k ? last_k : 1, needed = INT64_MAX;
    if (!c->all_relevant)
        needed =
            strcmp(c->options.metrics, "recall,ndcg") == 0 || strcmp(c->options.metrics, "precision") == 0
                ? last_k
                : 1;
    if (c->by_r && w->relevant > limit)
        limit = w->relevant;
    if (c->options.all_ranks)
        limit = INT64_MAX;
    while (w->count > 1 && (w->count > needed || w->rank[w->count - 1].high > limit))
        w->count--;
}

static void find(const eval_case *c, int64_t row, wanted *w)
{
    const reference_store view = random_store_view(&c->store);
    other *list = room(c->store.rows, sizeof *list);
    int64_t count = 0;
    for (int64_t to = c->cut; to < c->store.rows; to++)
        if (takes_part(c, to) && (c->how != ONE_SET || to != row))
            list[count++] = (other){reference_distance(&view, c->options.metric, row, to), to - c->cut,
                                    is_relevant(c, row, to)};
    if (count > 1)
        qsort(list, (size_t)count, sizeof *list, compare_others);
    *w = (wanted){.rank = room(count, sizeof *w->rank)};
    for (int64_t i = 0; i < count; i++) {
        if (!list[i].relevant)
            continue;
        int64_t closer = 0, equal = 0; /* irrelevant ones */
        for (int64_t j = 0; j < count; j++) {
            closer += !list[j].relevant && list[j].d < list[i].d;
            equal += !list[j].relevant && list[j].d == list[i].d;
        }
        const int64_t before = w->relevant++;
        w->rank[before] =
            (trm_eval_rank){list[i].id, list[i].d, i + 1, before + 1 + closer + equal, before + 1 + closer};
    }
    w->count = w->relevant;
    if (w->relevant > 0)
        score(c, w);
    cut_off(c, w);
    free(list);
}

/* ---- running ---- */

/* What came to this rank. */
typedef struct got {
    const eval_case *c;
    int64_t queries, wrong, classes, wrong_classes;
    const double *class_value; /* of each row's class, SCORES of each row */
    const int64_t *class_size;
} got;

static bool same_rank(const trm_eval_rank *a, const trm_eval_rank *b)
{
    return a->row == b->row && memcmp(&a->distance, &b->distance, sizeof a->distance) == 0 &&
           a->rank == b->rank && a->low == b->low && a->high == b->high;
}

static trm_status take_queries(void *context, int64_t count, const trm_eval_query *query, trm_error *err)
{
    got *into = context;
    (void)err;
    for (int64_t k = 0; k < count; k++) {
        wanted w;
        find(into->c, query[k].id, &w);
        bool wrong = query[k].relevant != w.relevant || query[k].count != w.count;
        for (int64_t i = 0; i < w.count && !wrong; i++)
            wrong = !same_rank(&query[k].rank[i], &w.rank[i]);
        free(w.rank);
        into->wrong += wrong;
        into->queries++;
    }
    return TRM_OK;
}

/* Is the value of place i asked for? */
static bool is_asked(const eval_case *c, int i)
{
    static const char *const names[] = {"precision_at_1", "r_precision", "map_at_r",  "mrr",
                                        "hit_rate",       "recall",      "precision", "ndcg"};
    const int metric = i < SINGLE ? i : SINGLE + (i - SINGLE) / TRM_EVAL_AT;
    if (i >= SINGLE && (i - SINGLE) % TRM_EVAL_AT >= c->at_count)
        return false;
    if (strcmp(c->options.metrics, "all") == 0)
        return true;
    const size_t length = strlen(names[metric]);
    for (const char *text = c->options.metrics; text != NULL; text = strchr(text, ',')) {
        text += *text == ',';
        if (strncmp(text, names[metric], length) == 0 && (text[length] == ',' || text[length] == '\0'))
            return true;
    }
    return false;
}

/* Logarithms of another library may differ in the last place. */
static bool same_value(int i, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return i >= SINGLE + 3 * TRM_EVAL_AT ? fabs(a - b) <= 1e-14 : memcmp(&a, &b, sizeof a) == 0;
}

static trm_status take_classes(void *context, int64_t count, const trm_eval_class *of, trm_error *err)
{
    got *into = context;
    (void)err;
    for (int64_t k = 0; k < count; k++) {
        const int64_t rows = into->c->how == ONE_SET ? into->c->store.rows : into->c->cut;
        int64_t row = 0;
        while (row < rows && into->c->store.labels[row] != of[k].label)
            row++;
        bool wrong = row == rows || into->class_size[row] != of[k].queries;
        for (int i = 0; i < SCORES && !wrong; i++)
            wrong = !same_value(i, (&of[k].value.precision_at_1)[i],
                                is_asked(into->c, i) ? into->class_value[row * SCORES + i] : NAN);
        into->wrong_classes += wrong;
        into->classes++;
    }
    return TRM_OK;
}

/* All means, by reference. */
typedef struct means {
    int64_t queries, no_relevant, relevant, tied, classes;
    double micro[TIES][SCORES], macro[TIES][SCORES];
    double *class_value; /* plain, SCORES a row */
    int64_t *class_size;
} means;

static void put_macro(const eval_case *c, const wanted *w, int64_t rows, int ties, int i, double *scratch,
                      means *m)
{
    double *mean = room(rows, sizeof *mean);
    int64_t classes = 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t count = 0;
        bool first = w[row].relevant > 0;
        for (int64_t to = 0; to < rows && first; to++) {
            if (w[to].relevant == 0 || c->store.labels[to] != c->store.labels[row])
                continue;
            first = to >= row;
            scratch[count++] = w[to].value[ties][i];
        }
        if (!first)
            continue;
        mean[classes++] = reference_sum(scratch, count) / (double)count;
        m->class_size[row] = count;
        if (ties == 0)
            m->class_value[row * SCORES + i] = mean[classes - 1];
    }
    m->classes = classes;
    m->macro[ties][i] = classes > 0 ? reference_sum(mean, classes) / (double)classes : NAN;
    free(mean);
}

static void put_means(const eval_case *c, const wanted *w, int64_t rows, means *m)
{
    double *scratch = room(rows, sizeof *scratch);
    for (int ties = 0; ties < TIES; ties++)
        for (int i = 0; i < SCORES; i++) {
            int64_t count = 0;
            m->micro[ties][i] = m->macro[ties][i] = NAN;
            if (!is_asked(c, i))
                continue;
            for (int64_t row = 0; row < rows; row++)
                if (w[row].relevant > 0)
                    scratch[count++] = w[row].value[ties][i];
            if (count > 0)
                m->micro[ties][i] = reference_sum(scratch, count) / (double)count;
            if (c->how != PAIRS)
                put_macro(c, w, rows, ties, i, scratch, m);
        }
    free(scratch);
}

static void find_means(const eval_case *c, means *m)
{
    const int64_t rows = c->how == ONE_SET ? c->store.rows : c->cut;
    wanted *w = room(rows, sizeof *w);
    *m = (means){.class_value = room(rows * SCORES, sizeof(double)), .class_size = room(rows, 8)};
    for (int64_t row = 0; row < rows; row++) {
        if (!takes_part(c, row))
            continue;
        find(c, row, &w[row]);
        m->queries += w[row].relevant > 0;
        m->no_relevant += w[row].relevant == 0;
        m->relevant += w[row].relevant;
        bool tied = false;
        for (int i = 0; i < SCORES && w[row].relevant > 0; i++)
            tied = tied || (is_asked(c, i) && w[row].value[1][i] != w[row].value[2][i]);
        m->tied += tied;
    }
    put_means(c, w, rows, m);
    for (int64_t row = 0; row < rows; row++)
        free(w[row].rank);
    free(w);
}

static bool differ(const trm_eval_means *got_means, double want[TIES][SCORES])
{
    const trm_eval_values *values[] = {&got_means->value, &got_means->low, &got_means->high};
    for (int ties = 0; ties < TIES; ties++)
        for (int i = 0; i < SCORES; i++)
            if (!same_value(i, (&values[ties]->precision_at_1)[i], want[ties][i]))
                return true;
    return false;
}

typedef struct setup {
    trm_run *run;
    trm_rows *rows, *queries;
    trm_pair_list pairs;
} setup;

/* This rank's part of n items, as the run deals them. */
static int64_t dealt(const eval_case *c, int64_t n, int deal, int64_t *count)
{
    test_random random = {(uint64_t)(c->number * 3 + deal)};
    int64_t *first = room(ranks + 1, sizeof *first);
    random_run_deal(&random, &c->run, n, first);
    const int64_t start = first[rank];
    *count = first[rank + 1] - first[rank];
    free(first);
    return start;
}

static trm_status set_up(const eval_case *c, setup *s, trm_error *err)
{
    const random_store *store = &c->store;
    int64_t count, start = c->cut + dealt(c, store->rows - c->cut, 0, &count);
    const float *x = store->embeddings + start * store->dim;
    *s = (setup){0};
    trm_status status = trm_run_create(MPI_COMM_WORLD, &c->run.options, &s->run, err);
    if (status == TRM_OK && c->how == PAIRS)
        status = trm_rows_create_by_id(s->run, count, store->dim, x, NULL, &s->rows, err);
    else if (status == TRM_OK)
        status = trm_rows_create(s->run, count, store->dim, x, store->labels + start, store->ignore_count,
                                 store->ignore_label, &s->rows, err);
    if (status != TRM_OK || c->how == ONE_SET)
        return status;
    start = dealt(c, c->cut, 1, &count);
    x = store->embeddings + start * store->dim;
    status = trm_rows_create_queries(s->run, s->rows, count, x,
                                     c->how == PAIRS ? NULL : store->labels + start, &s->queries, err);
    start = dealt(c, c->pairs, 2, &count);
    s->pairs = (trm_pair_list){count, c->query != NULL ? c->query + start : NULL,
                               c->query != NULL ? c->positive + start : NULL};
    return status;
}

static void take_down(setup *s)
{
    trm_rows_destroy(&s->queries);
    trm_rows_destroy(&s->rows);
    trm_run_destroy(&s->run);
}

/* The least that will do, as the refusal says. */
static void limit_memory(const setup *s, const trm_eval_options *options)
{
    trm_eval_summary plan;
    trm_error unheard = TRM_ERROR_INIT;
    s->run->mem_per_rank = 1;
    if (trm_eval_plan(s->run, s->rows, options, &plan, &unheard) != TRM_ERR_MEMORY)
        abort();
    s->run->mem_per_rank = plan.ask.memory_bytes;
}

static const char *wrong_in(got *came, means *want, const trm_eval_summary *summary)
{
    int64_t counts[] = {came->queries, came->wrong, came->classes, came->wrong_classes};
    MPI_Allreduce(MPI_IN_PLACE, counts, 4, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return counts[1] > 0                                              ? "ranks"
           : counts[0] != want->queries + want->no_relevant           ? "queries that came"
           : summary->ask.rows != counts[0]                           ? "rows that asked"
           : summary->queries != want->queries                        ? "queries"
           : summary->no_relevant != want->no_relevant                ? "queries without a relevant row"
           : summary->relevant != want->relevant                      ? "relevant rows"
           : summary->tied != want->tied                              ? "queries with ties that matter"
           : summary->classes != want->classes                        ? "classes"
           : differ(&summary->micro, want->micro)                     ? "micro"
           : differ(&summary->macro, want->macro)                     ? "macro"
           : counts[3] > 0                                            ? "means of classes"
           : came->c->options.per_class && counts[2] != want->classes ? "classes that came"
                                                                      : NULL;
}

static bool run_case(int number, int *panelled)
{
    eval_case c;
    setup s;
    means want;
    trm_error err = TRM_ERROR_INIT;
    trm_eval_summary summary = {.queries = 0};
    draw_case(number, &c);
    find_means(&c, &want);
    got came = {.c = &c, .class_value = want.class_value, .class_size = want.class_size};
    const trm_eval_takers takers = {&came, take_queries, take_classes};
    trm_status status = set_up(&c, &s, &err);
    c.options.queries = s.queries;
    c.options.pairs = c.how == PAIRS ? &s.pairs : NULL;
    if (status == TRM_OK && c.panels)
        limit_memory(&s, &c.options);
    if (status == TRM_OK)
        status = trm_eval(s.run, s.rows, &c.options, &takers, &summary, &err);
    const char *wrong = status != TRM_OK ? err.text : wrong_in(&came, &want, &summary);
    const bool good = everywhere(wrong == NULL);
    if (!good)
        describe(&c);
    if (wrong != NULL && (rank == 0 || status != TRM_OK))
        fprintf(stderr, "  rank %d: %s\n", rank, wrong);
    *panelled += summary.ask.panels > 1;
    free(want.class_value);
    free(want.class_size);
    take_down(&s);
    free_case(&c);
    return good;
}

static void ranks_are_those_of_all_distances(void **state)
{
    int failed = 0, panelled = 0;
    (void)state;
    for (int number = 0; number < CASES && failed < 3; number++)
        if (test_runs_round(number / ROUND, ranks))
            failed += !run_case(number, &panelled);
    assert_int_equal(failed, 0);
    assert_true(panelled > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_all_distances),
    };
    start_mpi(&argc, &argv, 600);
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
