/* Evaluation against all distances, bit for bit: random stores full of ties and copies, by label in one set and two, and by
 * pairs, in panels; stopped and gone on with on other ranks; cases that are known; and what is refused. */
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
typedef struct received {
    const eval_case *c;
    int64_t queries, wrong, classes, wrong_classes;
    const double *class_value; /* of each row's class, SCORES of each row */
    const int64_t *class_size;
} received;

static bool same_rank(const trm_eval_rank *a, const trm_eval_rank *b)
{
    return a->row == b->row && memcmp(&a->distance, &b->distance, sizeof a->distance) == 0 &&
           a->rank == b->rank && a->low == b->low && a->high == b->high;
}

static trm_status take_queries(void *context, int64_t count, const trm_eval_query *query, trm_error *err)
{
    received *into = context;
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
    received *into = context;
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

static const char *wrong_in(received *came, means *want, const trm_eval_summary *summary)
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
    received came = {.c = &c, .class_value = want.class_value, .class_size = want.class_size};
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

/* ---- cases that are known ---- */

/* A store of so many rows of two numbers, evaluated on all ranks. */
static trm_status evaluate_known(int64_t rows, const float *x, const int64_t *label,
                                 const trm_eval_options *options, const trm_eval_takers *takers,
                                 trm_eval_summary *summary, trm_error *err)
{
    setup s = {0};
    const int64_t first = rows * rank / ranks, count = rows * (rank + 1) / ranks - first;
    trm_status status = trm_run_create(MPI_COMM_WORLD, NULL, &s.run, err);
    if (status == TRM_OK)
        status = trm_rows_create(s.run, count, 2, x + 2 * first, label + first, 0, NULL, &s.rows, err);
    if (status == TRM_OK)
        status = trm_eval(s.run, s.rows, options, takers, summary, err);
    take_down(&s);
    return status;
}

enum { KNOWN = 6 };
static const float line[2 * KNOWN] = {0, 1, 1, 1, 3, 1, 6, 1, 10, 1, 15, 1};

static void nothing_is_relevant(void **state)
{
    const int64_t label[KNOWN] = {5, 3, 8, -1, 0, 7};
    trm_eval_summary summary;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    const bool good = evaluate_known(KNOWN, line, label, NULL, NULL, &summary, &err) == TRM_OK &&
                      summary.queries == 0 && summary.no_relevant == KNOWN && summary.classes == 0 &&
                      isnan(summary.micro.value.mrr) && isnan(summary.macro.low.ndcg_at[0]);
    assert_true(everywhere(good));
}

static void all_are_relevant(void **state)
{
    const int64_t label[KNOWN] = {0};
    trm_eval_summary summary;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    bool good = evaluate_known(KNOWN, line, label, NULL, NULL, &summary, &err) == TRM_OK;
    const trm_eval_values *micro = &summary.micro.value, *macro = &summary.macro.high;
    good = good && summary.queries == KNOWN && summary.classes == 1 && summary.tied == 0 &&
           micro->precision_at_1 == 1.0 && micro->map_at_r == 1.0 &&
           fabs(micro->recall_at[0] - 0.2) < 1e-15 && micro->recall_at[1] == 1.0 &&
           micro->precision_at[2] == 0.5 && macro->ndcg_at[3] == 1.0;
    assert_true(everywhere(good));
}

/* Three copies, the one in the middle with another label: it ties with both relevant rows. */
static void copies_tie(void **state)
{
    const float x[6] = {1, 2, 1, 2, 1, 2};
    const int64_t label[3] = {0, 1, 0};
    trm_eval_options options;
    trm_eval_summary summary;
    trm_error err = TRM_ERROR_INIT;
    (void)state;
    trm_eval_options_init(&options);
    options.at = "1,2";
    bool good = evaluate_known(3, x, label, &options, NULL, &summary, &err) == TRM_OK;
    const trm_eval_means *of = &summary.micro;
    /* row 0 finds row 1 first, by its id; row 2 finds row 0 */
    good = good && summary.queries == 2 && summary.no_relevant == 1 && summary.tied == 2 &&
           of->value.precision_at_1 == 0.5 && of->low.precision_at_1 == 0.0 &&
           of->high.precision_at_1 == 1.0 && of->value.mrr == 0.75 && of->low.mrr == 0.5 &&
           of->high.mrr == 1.0 && of->low.recall_at[1] == 1.0;
    assert_true(everywhere(good));
}

/* ---- stopped, and gone on with ---- */

enum { ROWS = 330, DIM = 9, QUERIES = 130, MANY_PAIRS = 400 };
static float embeddings[ROWS * DIM];
static int64_t labels[ROWS], pair_query[MANY_PAIRS], pair_positive[MANY_PAIRS];

static void make_store(void)
{
    test_random random = {31};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = i == 17 ? 99 : test_random_below(&random, 2) ? 3 : test_random_below(&random, 7);
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] = (float)test_random_below(&random, 9) * 0.25F + (float)(labels[i] % 3);
    }
    for (int64_t i = 0; i < MANY_PAIRS; i++) {
        pair_query[i] = test_random_below(&random, QUERIES);
        pair_positive[i] = test_random_below(&random, ROWS - QUERIES);
    }
}

/* How a job runs; q: on the first so many ranks. */
typedef struct how {
    int q, replicate, threads, percent; /* of the memory that the state needs; 0: no limit */
    relevance what;
    bool resumes, all_ranks;
} how;

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_eval_summary summary;
    int saved, pieces, came;
} outcome;

static trm_status count_queries(void *context, int64_t count, const trm_eval_query *query, trm_error *err)
{
    (void)query;
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
    const int64_t *label = h->what == PAIRS ? NULL : labels + first;
    if (store != NULL)
        return trm_rows_create_queries(run, store, count, x, label, rows, err);
    return label == NULL ? trm_rows_create_by_id(run, count, DIM, x, NULL, rows, err)
                         : trm_rows_create(run, count, DIM, x, label, 0, NULL, rows, err);
}

static void limit(const how *h, setup *s, const trm_eval_options *options)
{
    trm_eval_summary all, least;
    trm_error unheard = TRM_ERROR_INIT;
    if (h->percent == 0)
        return;
    if (trm_eval_plan(s->run, s->rows, options, &all, &unheard) != TRM_OK)
        abort();
    s->run->mem_per_rank = 1;
    if (trm_eval_plan(s->run, s->rows, options, &least, &unheard) != TRM_ERR_MEMORY)
        abort();
    s->run->mem_per_rank =
        least.ask.memory_bytes + (all.ask.memory_bytes - least.ask.memory_bytes) * h->percent / 100;
}

static void run_on(MPI_Comm comm, const how *h, saver *k, outcome *o)
{
    setup s = {0};
    trm_run_options run_options;
    trm_eval_options options;
    const trm_eval_takers takers = {&o->came, count_queries, NULL};
    trm_run_options_init(&run_options);
    trm_eval_options_init(&options);
    run_options.threads = h->threads;
    run_options.tile = 32;
    run_options.replicate = h->q % h->replicate == 0 ? h->replicate : 1;
    run_options.checkpoint = &k->checkpoint;
    options.all_ranks = h->all_ranks;
    if (h->resumes)
        o->status = saver_open(k, &o->err);
    if (o->status == TRM_OK)
        o->status = trm_run_create(comm, &run_options, &s.run, &o->err);
    if (o->status == TRM_OK)
        o->status = bring(s.run, h, h->what != ONE_SET ? QUERIES : 0, ROWS, NULL, &s.rows, &o->err);
    if (o->status == TRM_OK && h->what != ONE_SET)
        o->status = bring(s.run, h, 0, QUERIES, s.rows, &s.queries, &o->err);
    const int64_t first = MANY_PAIRS * rank / h->q;
    s.pairs =
        (trm_pair_list){MANY_PAIRS * (rank + 1) / h->q - first, pair_query + first, pair_positive + first};
    options.queries = s.queries;
    options.pairs = h->what == PAIRS ? &s.pairs : NULL;
    if (o->status == TRM_OK)
        limit(h, &s, &options);
    if (o->status == TRM_OK)
        o->status = trm_eval(s.run, s.rows, &options, &takers, &o->summary, &o->err);
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
        json_t *options = json_pack("{s:s}", "name", "eval");
        saver_begin(&k, comm, path, (trm_checkpoint_job){"eval", "1", options, ROWS, DIM, "f", 1});
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
static bool goes_on(relevance what, bool all_ranks, int percent, int step)
{
    const how whole = {1, 1, 1, 0, what, false, all_ranks};
    const outcome want = run_job(&whole, SAVER_NEVER, NULL);
    int stops = 0, pieces = 0;
    outcome got = {.status = TRM_ERR_STOPPED};
    for (int i = 0; got.status == TRM_ERR_STOPPED && i < 60; i++) {
        const how part = {1 + i % ranks, 1 + i % 2, 1 + i % 2, i == 0 ? percent : 10 * percent,
                          what,          i > 0,     all_ranks};
        got = run_job(&part, step + i, in_folder("eval.checkpoint"));
        stops += got.status == TRM_ERR_STOPPED;
        pieces += got.pieces;
    }
    const trm_eval_summary *a = &got.summary, *b = &want.summary;
    const bool good = got.status == TRM_OK && stops > 0 && (percent == 0 || pieces > 0) &&
                      got.came == (what != ONE_SET ? QUERIES : ROWS) && a->ask.reused > 0 &&
                      strcmp(a->result_hash, b->result_hash) == 0 && a->queries == b->queries &&
                      a->tied == b->tied && a->classes == b->classes &&
                      memcmp(&a->micro.value.map_at_r, &b->micro.value.map_at_r, 8) == 0 &&
                      (what == PAIRS || memcmp(&a->macro.low.mrr, &b->macro.low.mrr, 8) == 0);
    if (!good && rank == 0)
        fprintf(
            stderr,
            "  way %d, all ranks %d, percent %d: %d stops, %d pieces, came %d, reused %d: %s; %s, not %s\n",
            (int)what, all_ranks, percent, stops, pieces, got.came, (int)a->ask.reused,
            got.status == TRM_OK ? "ended" : got.err.text, a->result_hash, b->result_hash);
    return good;
}

static void a_job_goes_on_elsewhere(void **state)
{
    (void)state;
    make_store();
    bool good = true;
    for (int what = 0; what < 3; what++)
        for (int all = 0; all < 2; all++)
            for (int percent = 0; percent <= 10; percent += 10)
                good = everywhere(goes_on((relevance)what, all, percent, percent > 0 ? 3 : 1)) && good;
    assert_true(good);
}

/* ---- what is refused ---- */

typedef struct refusal {
    const char *at, *metrics;
    int metric;
    bool odd; /* on the last rank only */
    const char *says;
} refusal;

static void options_are_checked(void **state)
{
    static const refusal refusals[] = {
        {"", "all", 0, false, "--at ''"},
        {"0", "all", 0, false, "--at '0'"},
        {"1,", "all", 0, false, "--at '1,'"},
        {"5,5", "all", 0, false, "--at '5,5'"},
        {"5,1", "all", 0, false, "--at '5,1'"},
        {"1.5", "all", 0, false, "--at '1.5'"},
        {"01", "all", 0, false, "--at '01'"},
        {"1;2", "all", 0, false, "--at '1;2'"},
        {"-1", "all", 0, false, "--at '-1'"},
        {"99999999999999999999", "all", 0, false, "--at '9"},
        {"1", "", 0, false, "--metrics ''"},
        {"1", "map", 0, false, "--metrics 'map'"},
        {"1", "mrr,", 0, false, "--metrics 'mrr,'"},
        {"1", "all", 77, false, "metric"},
        {"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "all", 0, false, "at most 16"},
        {"1,5,10", "all", 0, true, "at"},
        {"1,5,10,100", "mrr", 0, true, "metrics"}};
    (void)state;
    make_store();
    const how all = {.q = ranks, .what = ONE_SET};
    setup s = {0};
    trm_error err = TRM_ERROR_INIT;
    bool good = trm_run_create(MPI_COMM_WORLD, NULL, &s.run, &err) == TRM_OK &&
                bring(s.run, &all, 0, ROWS, NULL, &s.rows, &err) == TRM_OK;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals && good; i++) {
        const refusal *r = &refusals[i];
        trm_eval_options options;
        trm_eval_summary summary;
        trm_error why = TRM_ERROR_INIT;
        trm_eval_options_init(&options);
        if (r->odd && ranks == 1)
            continue;
        if (!r->odd || rank == ranks - 1) {
            options.at = r->at;
            options.metrics = r->metrics;
            options.metric = (trm_metric)r->metric;
        }
        good = trm_eval(s.run, s.rows, &options, NULL, &summary, &why) == TRM_ERR_USAGE &&
               strstr(why.text, r->says) != NULL;
        if (!good)
            fprintf(stderr, "  refusal %d: '%s'\n", (int)i, why.text);
        good = everywhere(good);
    }
    take_down(&s);
    assert_true(good);
}

static trm_status refuse_queries(void *context, int64_t count, const trm_eval_query *query, trm_error *err)
{
    (void)count;
    (void)query;
    return *(const int *)context == rank ? trm_fail(err, TRM_ERR_IO, "no more room") : TRM_OK;
}

static trm_status refuse_classes(void *context, int64_t count, const trm_eval_class *of, trm_error *err)
{
    (void)count;
    (void)of;
    return *(const int *)context == rank ? trm_fail(err, TRM_ERR_IO, "no more classes") : TRM_OK;
}

/* What one rank's taker says is what all return. */
static void a_taker_fails_everywhere(void **state)
{
    const int64_t label[KNOWN] = {0, 0, 1, 1, 2, 2};
    int last = ranks - 1;
    const trm_eval_takers takers[] = {{&last, refuse_queries, NULL}, {&last, NULL, refuse_classes}};
    const char *const says[] = {"no more room", "no more classes"};
    trm_eval_options options;
    trm_eval_summary summary;
    bool good = true;
    (void)state;
    trm_eval_options_init(&options);
    options.per_class = true;
    for (int i = 0; i < 2; i++) {
        trm_error err = TRM_ERROR_INIT;
        good = everywhere(evaluate_known(KNOWN, line, label, &options, &takers[i], &summary, &err) ==
                              TRM_ERR_IO &&
                          strstr(err.text, says[i]) != NULL) &&
               good;
    }
    assert_true(good);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_all_distances),
        cmocka_unit_test(nothing_is_relevant),
        cmocka_unit_test(all_are_relevant),
        cmocka_unit_test(copies_tie),
        cmocka_unit_test(a_job_goes_on_elsewhere),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_taker_fails_everywhere),
    };
    start_mpi(&argc, &argv, 600);
    const int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
