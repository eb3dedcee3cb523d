/* The mining family, trm_mine against the brute-force reference: random options on random small stores, the same
 * triplets to the bit and the same counts, however many ranks. A failure prints the case's number, which is its
 * seed; TRIMINE_TEST_CASE=N runs case N alone. Numbers of ranks share the cases (rounds.h). */
#include "mine/negatives.h"
#include "mine/options.h"
#include "mine/positives.h"
#include "support/mined.h"
#include "support/random_family.h"
#include "support/rounds.h"
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

/* What the library has of the family, and what of it was compared (on rank 0). */
typedef struct compared {
    const char *option, *word;
    int64_t cases, triplets;
} compared;

/* A line each: add one with what you add to the library, and to mined_options of support/mined.c where it is an option of its own.
 * Cases with other words are passed over; filters and rank windows without a line are left out of a case. */
// clang-format off
static compared lines[] = {
    {.option = "positives", .word = "all"},
    {.option = "positives", .word = "hardest"},
    {.option = "positives", .word = "easiest"},
    {.option = "positives", .word = "nearest"},
    {.option = "positives", .word = "random"},
    {.option = "negatives", .word = "semihard"},
    {.option = "negatives", .word = "hard"},
    {.option = "negatives", .word = "topk"},
    {.option = "negatives", .word = "within-margin"},
    {.option = "negatives", .word = "hard-all"},
    {.option = "negatives", .word = "easy-all"},
    {.option = "negatives", .word = "violating"},
    {.option = "negatives", .word = "multisimilarity"},
    {.option = "negatives", .word = "random"},
    {.option = "negatives", .word = "weighted"},
    {.option = "window", .word = "none"},
    {.option = "window", .word = "lt"},
    {.option = "window", .word = "le"},
    {.option = "pick", .word = "nearest"},
    {.option = "pick", .word = "farthest"},
    {.option = "pick", .word = "random"},
    {.option = "fallback", .word = "skip"},
    {.option = "fallback", .word = "farthest-inside"},
    {.option = "fallback", .word = "hardest"},
    {.option = "fallback", .word = "random"},
    {.option = "filter", .word = "min-distance"},
    {.option = "filter", .word = "max-distance"},
    {.option = "filter", .word = "absolute-margin"},
    {.option = "filter", .word = "relative-margin"},
    {.option = "filter", .word = "not-near-positive"},
    {.option = "ranks", .word = "before"},
    {.option = "ranks", .word = "after"},
};
// clang-format on

/* Of the policies that take filters there are twice as many cases: they differ in more. */
enum {
    LINES = sizeof lines / sizeof *lines,
    CASES = 6 * RANDOM_FAMILIES,
    FILTER_CASES = 12 * RANDOM_FAMILIES
};

/* What cases with filters and ranks were, on rank 0: filters that remove nothing test nothing. */
static struct {
    int64_t ranked, after, open, short_anchors, lone, removed[TRM_FILTERS];
} tried;

/* The line of an option's word, which may be followed by a colon and a number; NULL where there is none. */
static compared *line_of(const char *option, const char *word)
{
    const size_t length = strcspn(word, ":");
    for (int i = 0; i < LINES; i++)
        if (strcmp(lines[i].option, option) == 0 && strlen(lines[i].word) == length &&
            strncmp(lines[i].word, word, length) == 0)
            return &lines[i];
    return NULL;
}

static void leave_out_what_is_not_there(family_options *options)
{
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        if (line_of("filter", random_family_filters[filter]) == NULL)
            options->filter[filter].given = false;
    if (line_of("ranks", options->rank_order_after ? "after" : "before") == NULL) {
        options->rank_from = 1;
        options->rank_to = INT64_MAX;
        options->rank_order_after = false;
    }
}

/* The lines that a case is of, and how many; some may be NULL: the library has not all of it. */
static int lines_of(const family_options *options, compared **of)
{
    int count = 0;
    of[count++] = line_of("positives", options->positives);
    of[count++] = line_of("negatives", options->negatives);
    if (strcmp(options->negatives, "semihard") == 0) {
        of[count++] = line_of("window", options->window);
        of[count++] = line_of("pick", options->pick);
        of[count++] = line_of("fallback", options->fallback);
    }
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        if (options->filter[filter].given)
            of[count++] = line_of("filter", random_family_filters[filter]);
    if (mined_has_ranks(options))
        of[count++] = line_of("ranks", options->rank_order_after ? "after" : "before");
    return count;
}

static bool library_has(const family_options *options)
{
    compared *of[LINES];
    bool all = true;
    for (int count = lines_of(options, of), i = 0; i < count; i++)
        all = all && of[i] != NULL;
    return all;
}

static void note(const family_options *options, int64_t triplets)
{
    compared *of[LINES];
    for (int count = lines_of(options, of), i = 0; i < count; i++) {
        of[i]->cases++;
        of[i]->triplets += triplets;
    }
}

/* Ranks from A on, of what filters leave. */
static bool is_open(const family_options *options)
{
    return options->rank_from > 1 && !options->rank_order_after && options->rank_to == INT64_MAX &&
           options->filter[FAMILY_RELATIVE_MARGIN].given;
}

static void note_filters(const family_options *options, const family_result *want)
{
    if (want->total == 0)
        return;
    tried.ranked += options->rank_from > 1;
    tried.after += options->rank_order_after;
    tried.open += is_open(options) && want->removed[FAMILY_RELATIVE_MARGIN] > 0;
    tried.short_anchors += want->anchors.fell_short > 0;
    bool lone = false;
    for (int64_t i = 0; i < want->count && !lone; i++)
        lone = want->triplets[i].positive < 0;
    tried.lone += lone;
    for (int f = 0; f < TRM_FILTERS; f++)
        tried.removed[f] += want->removed[f] > 0;
}

/* On rank 0: whether what was mined is what the reference mines; tells on stderr what is not. */
static bool agrees(int number, const random_store *store, const random_family *family, const random_run *run,
                   const trm_mine_options *options, const mined *got, const trm_mine_summary *summary)
{
    const reference_store plain = random_store_view(store);
    family_result want;
    family_mine(&plain, &family->options, &want);
    const bool set = trm_negatives_are_set(options), listed = !set || options->emit_sets;
    const char *wrong = NULL;
    if (!listed || want.count == want.total)
        wrong = mined_differs(got, want.triplets, listed ? want.count : 0);
    if (!wrong)
        wrong = mined_differing_count(&want, summary, set, listed);
    if (wrong) {
        char text[512];
        random_family_describe(family, text, sizeof text);
        fprintf(stderr, "case %d: %s\n  store: %lld x %d, %s\n  %s\n", number, wrong, (long long)store->rows,
                store->dim, store->flavour, text);
        random_run_describe(run);
    }
    note(&family->options, want.total);
    note_filters(&family->options, &want);
    family_destroy(&want);
    return wrong == NULL;
}

static bool takes_filters(const family_options *options)
{
    const trm_word *word =
        trm_word_find(&trm_negatives_words, options->negatives, strcspn(options->negatives, ":"));
    return word != NULL && (((const trm_negatives_policy *)word)->takes & TRM_TAKES_FILTERS) != 0;
}

/* Mines a case and compares; the same answer on all ranks. refused: may it be, for want of memory? Collective. */
static bool mine_case(int number, const random_store *store, const random_family *family,
                      const random_run *run, const int64_t *first, const trm_mine_options *options,
                      bool may_be_refused, trm_mine_summary *summary)
{
    trm_error err = TRM_ERROR_INIT;
    mined got;
    const trm_status status = mined_run(store, run, first, options, &got, summary, &err);
    bool good = status == TRM_OK || (may_be_refused && status == TRM_ERR_MEMORY);
    if (!good && rank == 0)
        fprintf(stderr, "case %d: status %d: %s\n", number, (int)status, err.text);
    if (status == TRM_OK && rank == 0)
        good = agrees(number, store, family, run, options, &got, summary);
    mined_destroy(&got);
    return everywhere(good);
}

/* A case as random numbers have it. The caller destroys the store. */
static void draw_case(int number, test_random *random, random_store *store, random_family *family,
                      random_run *run, int64_t *first)
{
    random->state = (uint64_t)number + UINT64_C(2000003);
    random_store_create((uint64_t)number + 1, store);
    random_family_create((uint64_t)number, store, family);
    leave_out_what_is_not_there(&family->options);
    family->options.lone = test_random_below(random, 4) == 0;
    random_run_draw(random, run);
    random_run_deal(random, run, store->rows, first);
}

/* Numbers of ranks share the cases, except those of a kind that is rare. */
static bool is_run(int number, const family_options *options)
{
    return (number < CASES || takes_filters(options)) &&
           (test_runs_round(number / RANDOM_FAMILIES, ranks) || is_open(options));
}

/* Whether the library does a case as the reference does, or can't, or need not (unless it must); the same on all
 * ranks. Collective. */
static bool run_case(int number, bool must, int64_t *first)
{
    random_store store;
    random_family family;
    random_run run;
    test_random random;
    draw_case(number, &random, &store, &family, &run, first);
    bool good = true;
    char ranks_text[MINED_RANKS];
    if (library_has(&family.options) && (must || is_run(number, &family.options))) {
        trm_mine_options options = mined_options(&family.options, ranks_text);
        options.emit_sets = test_random_below(&random, 3) > 0;
        trm_mine_summary summary = {0};
        good = mine_case(number, &store, &family, &run, first, &options, false, &summary);
    }
    random_store_destroy(&store);
    return good;
}

static void random_options_on_random_stores_agree_with_the_reference(void **state)
{
    (void)state;
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    assert_non_null(first);
    const char *only = getenv("TRIMINE_TEST_CASE");
    const int from = only ? atoi(only) : 0, to = only ? from + 1 : FILTER_CASES;
    int failures = 0;
    for (int number = from; number < to && failures < 5; number++)
        failures += !run_case(number, only != NULL, first);
    free(first);
    assert_int_equal(failures, 0);
    bool none_on_nothing = true;
    for (int i = 0; i < LINES && rank == 0 && only == NULL; i++)
        if (lines[i].triplets == 0) {
            none_on_nothing = false;
            fprintf(stderr, "%s %s: no triplets in %lld cases\n", lines[i].option, lines[i].word,
                    (long long)lines[i].cases);
        }
    assert_true(everywhere(none_on_nothing));
    if (rank > 0 || only != NULL)
        return;
    assert_true(tried.open > 2);
    assert_true(tried.ranked > 2 && tried.after > 2 && tried.short_anchors > 2 && tried.lone > 2);
    for (int f = 0; f < TRM_FILTERS; f++)
        assert_true(tried.removed[f] > 1);
}

/* What cases of what is near a positive were, on rank 0. */
static struct {
    int64_t removed, in_panels, refused;
} near_cases;

/* The case with --not-near-positive, and once more with too little memory for its anchors all at once. */
static bool run_near_case(int number, int64_t *first)
{
    random_store store;
    random_family family;
    random_run run;
    test_random random;
    bool good = true;
    char ranks_text[64];
    draw_case(number, &random, &store, &family, &run, first);
    if (library_has(&family.options) && takes_filters(&family.options)) {
        family.options.filter[FAMILY_NOT_NEAR_POSITIVE] =
            (family_filter){true, random_family_radius(&random, &store, family.options.metric)};
        const trm_mine_options options = mined_options(&family.options, ranks_text);
        trm_mine_summary summary = {0};
        good = mine_case(number, &store, &family, &run, first, &options, false, &summary);
        near_cases.removed += summary.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE] > 0;
        run.options.mem_per_rank = summary.memory_bytes - 1;
        summary = (trm_mine_summary){0};
        good = good && mine_case(number, &store, &family, &run, first, &options, true, &summary);
        near_cases.in_panels += summary.panels > 1 && summary.positive_pairs > 0;
        near_cases.refused += summary.positive_pairs == 0;
    }
    random_store_destroy(&store);
    return good;
}

static void what_is_near_a_positive_agrees_with_the_reference_also_in_panels(void **state)
{
    (void)state;
    int64_t *first = calloc((size_t)ranks + 1, sizeof *first);
    assert_non_null(first);
    int failures = 0;
    for (int number = CASES; number < CASES + 3 * RANDOM_FAMILIES && failures < 5; number++)
        failures += !run_near_case(number, first);
    free(first);
    if (rank == 0)
        print_message("%d cases removed something, %d in panels, %d refused\n", (int)near_cases.removed,
                      (int)near_cases.in_panels, (int)near_cases.refused);
    assert_int_equal(failures, 0);
    assert_true(near_cases.removed > 20 && near_cases.in_panels > 20);
}

static int without_a_line(const char *option, const trm_words *words)
{
    int count = 0;
    for (int i = 0; i < words->count; i++) {
        const trm_word *word = trm_word_at(words, i);
        if (word->derived || line_of(option, word->name) != NULL)
            continue;
        print_error("%s %s is compared with nothing\n", option, word->name);
        count++;
    }
    return count;
}

static void every_word_of_the_library_is_compared(void **state)
{
    (void)state;
    assert_int_equal(without_a_line("positives", &trm_positives_words), 0);
    assert_int_equal(without_a_line("negatives", &trm_negatives_words), 0);
    assert_int_equal(without_a_line("window", &trm_window_words), 0);
    assert_int_equal(without_a_line("pick", &trm_pick_words), 0);
    assert_int_equal(without_a_line("fallback", &trm_fallback_words), 0);
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_of_the_library_is_compared),
        cmocka_unit_test(what_is_near_a_positive_agrees_with_the_reference_also_in_panels),
        cmocka_unit_test(random_options_on_random_stores_agree_with_the_reference),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
