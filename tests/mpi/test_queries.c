/* Queries against a store, trm_mine against the brute-force reference: random options, queries, stores and lists of
 * pairs, the same triplets to the bit and the same counts, however many ranks, and in panels. A failure prints the case's
 * number, which is its seed; TRIMINE_TEST_CASE=N runs case N alone. */
#include "mine/negatives.h"
#include "support/mined.h"
#include "support/random_sets.h"
#include "support/scratch.h"

#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* After the cases as they come those in which what is near a positive is removed. */
enum { CASES = 4 * RANDOM_FAMILIES, NEAR_CASES = 3 * RANDOM_FAMILIES };

/* What the cases were, on rank 0: those that are all alike test nothing. */
static struct {
    int64_t by_label, listed, and_labels, without_labels; /* with triplets */
    int64_t no_queries, no_store, fewer_queries, fewer_rows, empty_list;
    int64_t no_positive, no_negative, lone, repeated, neither; /* neither: and_labels took a negative away */
    int64_t panels, refused;                                   /* with a byte less than the job takes */
    int64_t near_by_label, near_listed, near_and_labels;       /* that removed something */
    int64_t near_copies,
        near_with_others; /* at a radius of 0; and other filters what is far, and what is near */
} tried;

/* Where each rank's queries, rows and pairs start. */
typedef struct dealt {
    int64_t *queries, *store, *pairs;
} dealt;

static void note_near(const random_sets *sets, const int64_t *removed)
{
    if (removed[FAMILY_NOT_NEAR_POSITIVE] == 0)
        return;
    tried.near_by_label += !sets->listed;
    tried.near_listed += sets->listed && !sets->and_labels;
    tried.near_and_labels += sets->and_labels;
    tried.near_copies += sets->family.options.filter[FAMILY_NOT_NEAR_POSITIVE].value == 0.0;
    tried.near_with_others += removed[FAMILY_MAX_DISTANCE] > 0 && removed[FAMILY_RELATIVE_MARGIN] > 0;
}

static void note(const random_sets *sets, const family_result *want)
{
    const int64_t queries = sets->queries.rows, rows = sets->store.rows;
    tried.no_queries += queries == 0;
    tried.no_store += rows == 0;
    tried.empty_list += sets->listed && sets->pairs == 0;
    tried.no_positive += want->anchors.no_positive > 0;
    tried.no_negative += want->anchors.no_negative > 0;
    tried.repeated += want->repeated_pairs > 0;
    for (int64_t i = 0; i < want->count; i++)
        if (want->triplets[i].positive < 0) {
            tried.lone++;
            break;
        }
    if (want->total == 0)
        return;
    tried.by_label += !sets->listed;
    tried.listed += sets->listed;
    tried.and_labels += sets->and_labels;
    tried.without_labels += !sets->labelled;
    tried.fewer_queries += queries < rows;
    tried.fewer_rows += rows < queries;
    note_near(sets, want->removed);
}

/* Does a label keep a row that is not listed from being a negative? */
static void note_neither(const random_sets *sets)
{
    bool found = false;
    for (int64_t q = 0; q < sets->queries.rows && sets->and_labels && !found; q++)
        for (int64_t i = 0; i < sets->store.rows && !found; i++) {
            bool listed = false;
            for (int64_t k = 0; k < sets->pairs && !listed; k++)
                listed = sets->pair[k].query == q && sets->pair[k].positive == i;
            found = !listed && sets->queries.labels[q] == sets->store.labels[i];
        }
    tried.neither += found;
}

/* On rank 0: whether what was mined is what the reference mines; tells on stderr what is not. */
static bool agrees(int number, const random_sets *sets, const random_run *run,
                   const trm_mine_options *options, const family_result *want, const mined *got,
                   const trm_mine_summary *summary)
{
    const bool set = trm_negatives_are_set(options), listed = !set || options->emit_sets;
    const char *wrong = NULL;
    if (!listed || want->count == want->total)
        wrong = mined_differs(got, want->triplets, listed ? want->count : 0);
    if (!wrong)
        wrong = mined_differing_count(want, summary, set, listed);
    if (!wrong && sets->listed && summary->classes != 0)
        wrong = "classes of rows by id";
    if (wrong) {
        char text[1024];
        random_sets_describe(sets, text, sizeof text);
        fprintf(stderr, "case %d: %s\n  %s\n  panels %d, memory %lld\n", number, wrong, text, summary->panels,
                (long long)run->options.mem_per_rank);
        random_run_describe(run);
    }
    return wrong == NULL;
}

/* Once; want is rank 0's. Running out of a memory limit that there is is no failure. */
static bool run_once(int number, const random_sets *sets, const random_run *run, const dealt *first,
                     trm_mine_options *options, const family_result *want, trm_mine_summary *summary)
{
    trm_error err = TRM_ERROR_INIT;
    mined got;
    memset(summary, 0, sizeof *summary);
    const trm_status status =
        mined_run_sets(sets, run, first->queries, first->store, first->pairs, options, &got, summary, &err);
    bool good = status == TRM_OK || (run->options.mem_per_rank > 0 && status == TRM_ERR_MEMORY);
    if (!good && rank == 0) {
        char text[1024];
        random_sets_describe(sets, text, sizeof text);
        fprintf(stderr, "case %d: status %d: %s\n  %s\n", number, (int)status, err.text, text);
        random_run_describe(run);
    }
    if (status == TRM_OK && rank == 0)
        good = agrees(number, sets, run, options, want, &got, summary);
    mined_destroy(&got);
    if (run->options.mem_per_rank > 0) {
        tried.refused += status == TRM_ERR_MEMORY;
        tried.panels += status == TRM_OK && summary->panels > 1;
    }
    return everywhere(good);
}

/* Mines a case as it is drawn, and maybe in panels, and compares it. Collective. */
static bool mine_case(int number, test_random *random, const random_sets *sets, trm_mine_options *options,
                      bool in_panels, const dealt *first)
{
    random_run run;
    family_result want = {0};
    trm_mine_summary summary;
    random_run_draw(random, &run);
    random_run_deal(random, &run, sets->queries.rows, first->queries);
    random_run_deal(random, &run, sets->store.rows, first->store);
    random_run_deal(random, &run, sets->pairs, first->pairs);
    if (rank == 0) {
        reference_store queries, store;
        const family_sets view = random_sets_view(sets, &queries, &store);
        family_mine_sets(&view, &sets->family.options, &want);
        note(sets, &want);
        note_neither(sets);
    }
    bool good = run_once(number, sets, &run, first, options, &want, &summary);
    if (good && in_panels) { /* a byte less: in panels, where it is the anchors that need it */
        run.options.mem_per_rank = summary.memory_bytes - 1;
        good = run_once(number, sets, &run, first, options, &want, &summary);
    }
    family_destroy(&want);
    return good;
}

/* What is near a positive is removed, and in half of the cases what is far from the query, and what is near it, too. */
static void draw_near(test_random *random, random_sets *sets)
{
    const reference_store whole = random_store_view(&sets->whole);
    family_options *options = &sets->family.options;
    options->filter[FAMILY_NOT_NEAR_POSITIVE] =
        (family_filter){true, random_family_radius(random, &sets->store, options->metric)};
    if (sets->whole.rows == 0 || test_random_below(random, 2) == 0)
        return;
    options->filter[FAMILY_MAX_DISTANCE] =
        (family_filter){true, reference_distance(&whole, options->metric, 0, sets->whole.rows - 1)};
    options->filter[FAMILY_RELATIVE_MARGIN] = (family_filter){true, 0.05};
}

/* Whether the library does a case as the reference does; the same on all ranks. near: cases without filters are passed
 * over, the others remove what is near a positive. Collective. */
static bool run_case(int number, bool near, const dealt *first)
{
    random_sets sets;
    test_random random = {(uint64_t)number + UINT64_C(3000017)};
    char ranks_text[MINED_RANKS];
    bool good = true;
    random_sets_create((uint64_t)number, &sets);
    if (near)
        draw_near(&random, &sets);
    trm_mine_options options = mined_options(&sets.family.options, ranks_text);
    options.emit_sets = test_random_below(&random, 3) > 0;
    const bool in_panels = test_random_below(&random, near ? 2 : 4) == 0;
    if (!near || trm_negatives_take(&options, TRM_TAKES_FILTERS))
        good = mine_case(number, &random, &sets, &options, in_panels, first);
    random_sets_destroy(&sets);
    return good;
}

static void queries_against_a_store_agree_with_the_reference(void **state)
{
    (void)state;
    dealt first = {calloc((size_t)ranks + 1, sizeof(int64_t)), calloc((size_t)ranks + 1, sizeof(int64_t)),
                   calloc((size_t)ranks + 1, sizeof(int64_t))};
    assert_true(first.queries && first.store && first.pairs);
    const char *only = getenv("TRIMINE_TEST_CASE");
    const int from = only ? atoi(only) : 0, to = only ? from + 1 : CASES + NEAR_CASES;
    int failures = 0;
    for (int number = from; number < to && failures < 5; number++)
        failures += !run_case(number, number >= CASES, &first);
    free(first.queries);
    free(first.store);
    free(first.pairs);
    assert_int_equal(failures, 0);
    if (rank > 0 || only != NULL)
        return;
    const int64_t *count = &tried.by_label;
    for (size_t i = 0; i < sizeof tried / sizeof *count; i++)
        if (count[i] < 5)
            fail_msg("number %d of what was tried was there only %d times", (int)i, (int)count[i]);
}

/* Rows of small integers, so large that those of one list are brought in several rounds. */
static void make_large_sets(random_sets *sets)
{
    enum { QUERIES = 5, ROWS = 3000, DIM = 2048, LISTED = 2600 };
    test_random random = {12};
    memset(sets, 0, sizeof *sets);
    sets->whole = (random_store){.rows = QUERIES + ROWS, .dim = DIM, .flavour = "large rows"};
    sets->whole.embeddings = calloc((QUERIES + ROWS) * (size_t)DIM, sizeof(float));
    sets->whole.labels = calloc(QUERIES + ROWS, sizeof(int64_t));
    sets->pair = calloc(LISTED + QUERIES, sizeof *sets->pair);
    if (!sets->whole.embeddings || !sets->whole.labels || !sets->pair)
        abort();
    for (int64_t i = 0; i < (QUERIES + ROWS) * DIM; i++)
        sets->whole.embeddings[i] = (float)(test_random_next(&random) >> 62);
    for (int64_t i = 0; i < LISTED; i++) /* 7 and ROWS have no divisor in common: each row once */
        sets->pair[sets->pairs++] = (family_pair){2, (i * 7 + 5) % ROWS};
    for (int64_t query = 0; query < QUERIES; query++)
        sets->pair[sets->pairs++] = (family_pair){query, query * 500};
    sets->queries = sets->store = sets->whole;
    sets->queries.rows = QUERIES;
    sets->store.rows = ROWS;
    sets->store.embeddings += (int64_t)QUERIES * DIM;
    sets->store.labels += QUERIES;
    sets->listed = true;
    family_options_init(&sets->family.options);
}

static void a_query_may_have_thousands_of_positives(void **state)
{
    (void)state;
    static const char *const policies[][2] = {
        {"all", "topk:7"}, {"hardest", "semihard"}, {"random:40", "random:3"}, {"nearest:300", "hard"}};
    random_sets sets;
    make_large_sets(&sets);
    int64_t *first = calloc(3 * ((size_t)ranks + 1), sizeof *first);
    assert_non_null(first);
    const dealt start = {first, first + ranks + 1, first + 2 * (ranks + 1)};
    for (int i = 0; i < 4; i++) {
        test_random random = {(uint64_t)i};
        char ranks_text[MINED_RANKS];
        random_run run;
        family_result want = {0};
        trm_mine_summary summary;
        sets.family.options.positives = policies[i][0];
        sets.family.options.negatives = policies[i][1];
        random_run_draw(&random, &run);
        random_run_deal(&random, &run, sets.queries.rows, start.queries);
        random_run_deal(&random, &run, sets.store.rows, start.store);
        random_run_deal(&random, &run, sets.pairs, start.pairs);
        trm_mine_options options = mined_options(&sets.family.options, ranks_text);
        if (rank == 0) {
            reference_store queries, store;
            const family_sets view = random_sets_view(&sets, &queries, &store);
            family_mine_sets(&view, &sets.family.options, &want);
        }
        assert_true(run_once(-1, &sets, &run, &start, &options, &want, &summary));
        family_destroy(&want);
    }
    free(first);
    random_sets_destroy(&sets);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_against_a_store_agree_with_the_reference),
        cmocka_unit_test(a_query_may_have_thousands_of_positives),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
