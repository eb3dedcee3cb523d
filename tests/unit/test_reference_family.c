/* The brute-force mining family against the golden values of the rules and corner cases worked out by hand on
 * the same seven rows on a line; against the older reference where both know the rule; and its draws against
 * their distribution. */
#include "base/random.h"
#include "support/chi_square.h"
#include "support/random_family.h"
#include "support/random_store.h"
#include "support/reference_family.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Negatives of each anchor, nearest first, with their distances (l2); and the anchor's one positive:
 *   0: 2 (1)  5 (1)  3 (3)  6 (4)  4 (6)    positive 1 (6)
 *   1: 4 (0)  6 (2)  3 (3)  2 (5)  5 (7)    positive 0 (6)
 *   2: 0 (1)  3 (2)  5 (2)  6 (3)  1 (5)    positive 4 (5)
 *   3: 2 (2)  0 (3)  1 (3)  4 (3)  5 (4)    positive 6 (1)
 *   4: 1 (0)  6 (2)  3 (3)  0 (6)  5 (7)    positive 2 (5)
 *   6: 1 (2)  4 (2)  2 (3)  0 (4)  5 (5)    positive 3 (1)
 * 5 has no positive. */
enum { A, B, C, D };
static const float line[] = {0, 6, 1, 3, 6, -1, 4};
static const int64_t line_labels[] = {A, A, B, C, B, D, C};
static const reference_store golden = {7, 1, line, line_labels, NULL, 0, 0.0};

static family_options l2_options(const char *negatives)
{
    family_options options;
    family_options_init(&options);
    options.metric = TRM_METRIC_L2;
    options.negatives = negatives;
    return options;
}

static void filter_by(family_options *options, int filter, double value)
{
    options->filter[filter] = (family_filter){true, value};
}

/* Want: the negatives of an anchor in order of rank, ended by -1. */
static void check_negatives(const family_result *result, int64_t anchor, const int64_t *want)
{
    int64_t found[16];
    memset(found, -1, sizeof found);
    for (int64_t i = 0; i < result->count; i++) {
        const trm_triplet *t = &result->triplets[i];
        if (t->anchor == anchor) {
            assert_in_range(t->rank, 1, 16);
            assert_int_equal(found[t->rank - 1], -1);
            found[t->rank - 1] = t->negative;
        }
    }
    for (int i = 0; i == 0 || want[i - 1] >= 0; i++)
        assert_int_equal(found[i], want[i]);
}
#define CHECK_NEGATIVES(result, anchor, ...)                                                                 \
    check_negatives(result, anchor, (const int64_t[]){__VA_ARGS__, -1})

static void check_removed(const family_result *result, const int64_t *want)
{
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        assert_int_equal(result->removed[filter], want[filter]);
}
#define CHECK_REMOVED(result, ...) check_removed(result, (const int64_t[FAMILY_FILTERS]){__VA_ARGS__})

/* ---- golden values ---- */

static void golden_triplets_of_the_semihard_rule(void **state)
{
    (void)state;
    static const int64_t want[6][4] = {{0, 1, 4, 1}, {1, 0, 5, 0}, {2, 4, 1, 1},
                                       {3, 6, 2, 0}, {4, 2, 0, 0}, {6, 3, 1, 0}};
    family_options options = l2_options("semihard");
    options.window = "none";
    options.fallback = "farthest-inside";
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.count, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(result.triplets[i].anchor, want[i][0]);
        assert_int_equal(result.triplets[i].positive, want[i][1]);
        assert_int_equal(result.triplets[i].negative, want[i][2]);
        assert_int_equal(result.triplets[i].kind, want[i][3]);
        assert_int_equal(result.triplets[i].rank, 1);
    }
    assert_int_equal(result.fallback, 2);
    assert_int_equal(result.skipped, 0);
    assert_int_equal(result.anchors.total, 7);
    assert_int_equal(result.anchors.valid, 6);
    assert_int_equal(result.anchors.no_positive, 1);
    assert_int_equal(result.positive_pairs, 6);
    assert_int_equal(result.anchors.fell_short, 0);
    family_destroy(&result);
}

static void golden_sizes_of_the_sets(void **state)
{
    (void)state;
    static const char *const names[FAMILY_SETS] = {"within-margin", "hard-all", "easy-all", "violating"};
    static const struct {
        trm_metric metric;
        double margin;
        int64_t size[FAMILY_SETS];
    } want[] = {{TRM_METRIC_L2, 1.0, {5, 17, 8, 22}},
                {TRM_METRIC_SQL2, 1.0, {0, 17, 13, 17}},
                {TRM_METRIC_L2, 1.5, {5, 17, 8, 22}},
                {TRM_METRIC_SQL2, 1.5, {0, 17, 13, 17}}};
    for (int i = 0; i < 4; i++)
        for (int set = 0; set < FAMILY_SETS; set++) {
            family_options options = l2_options(names[set]);
            options.metric = want[i].metric;
            options.margin = want[i].margin;
            family_result result;
            family_mine(&golden, &options, &result);
            assert_int_equal(result.total, want[i].size[set]);
            assert_int_equal(result.count, want[i].size[set]);
            for (int other = 0; other < FAMILY_SETS; other++)
                assert_int_equal(result.sets[other], want[i].size[other]);
            family_destroy(&result);
        }
}

/* Hardest positive and hardest negative are batch-hard: the golden loss is 24 over 6 anchors. */
static void golden_batch_hard(void **state)
{
    (void)state;
    family_options options = l2_options("hard");
    options.positives = "hardest";
    family_result result;
    family_mine(&golden, &options, &result);
    double sum = 0.0;
    for (int64_t i = 0; i < result.count; i++)
        sum += fmax(0.0, result.triplets[i].d_ap - result.triplets[i].d_an + 1.0);
    assert_int_equal(result.count, 6);
    assert_true(sum == 24.0);
    family_destroy(&result);
}

/* ---- by hand ---- */

static void topk_ranks_by_distance_then_row(void **state)
{
    (void)state;
    const family_options options = l2_options("topk:3");
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.total, 18);
    CHECK_NEGATIVES(&result, 0, 2, 5, 3);
    CHECK_NEGATIVES(&result, 1, 4, 6, 3);
    CHECK_NEGATIVES(&result, 2, 0, 3, 5);
    CHECK_NEGATIVES(&result, 3, 2, 0, 1);
    CHECK_NEGATIVES(&result, 4, 1, 6, 3);
    CHECK_NEGATIVES(&result, 6, 1, 4, 2);
    /* triplets are by (anchor, positive, negative), whatever the rank */
    assert_int_equal(result.triplets[1].negative, 3);
    assert_int_equal(result.triplets[1].rank, 3);
    assert_int_equal(result.triplets[2].negative, 5);
    assert_int_equal(result.triplets[2].rank, 2);
    assert_int_equal(result.anchors.fell_short, 0);
    family_destroy(&result);
}

static void topk_beyond_what_there_is_falls_short(void **state)
{
    (void)state;
    const family_options options = l2_options("topk:6");
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.total, 30);
    assert_int_equal(result.anchors.fell_short, 6);
    family_destroy(&result);
}

static void ranks_keep_both_ends(void **state)
{
    (void)state;
    family_options options = l2_options("topk:3");
    options.rank_from = 2;
    options.rank_to = 3;
    family_result result;
    family_mine(&golden, &options, &result);
    CHECK_NEGATIVES(&result, 0, 5, 3);
    CHECK_NEGATIVES(&result, 3, 0, 1);
    assert_int_equal(result.total, 12);
    assert_int_equal(result.anchors.fell_short, 6);
    family_destroy(&result);
    options.negatives = "hard";
    family_mine(&golden, &options, &result);
    CHECK_NEGATIVES(&result, 0, 5);
    CHECK_NEGATIVES(&result, 3, 0);
    assert_int_equal(result.anchors.fell_short, 0);
    family_destroy(&result);
    options.rank_from = options.rank_to = 6;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.total, 0);
    assert_int_equal(result.anchors.fell_short, 6);
    family_destroy(&result);
}

/* The copies (1, 4) and (4, 1) are below the smallest distance. */
static void ranks_count_before_the_filters_or_after(void **state)
{
    (void)state;
    family_options options = l2_options("topk:3");
    options.rank_from = 2;
    options.rank_to = 3;
    filter_by(&options, FAMILY_MIN_DISTANCE, 1.0);
    family_result result;
    family_mine(&golden, &options, &result);
    CHECK_NEGATIVES(&result, 1, 6, 3);
    CHECK_REMOVED(&result, 0); /* what is outside the ranks is no candidate */
    family_destroy(&result);
    options.rank_order_after = true;
    family_mine(&golden, &options, &result);
    CHECK_NEGATIVES(&result, 1, 3, 2);
    CHECK_REMOVED(&result, 2);
    family_destroy(&result);
}

static void filters_keep_their_bounds_and_the_first_is_charged(void **state)
{
    (void)state;
    family_options options = l2_options("topk:3");
    filter_by(&options, FAMILY_MIN_DISTANCE, 1.0);
    filter_by(&options, FAMILY_MAX_DISTANCE, 5.0);
    filter_by(&options, FAMILY_ABSOLUTE_MARGIN, -3.0);
    filter_by(&options, FAMILY_NOT_NEAR_POSITIVE, 1.0);
    family_result result;
    family_mine(&golden, &options, &result);
    CHECK_REMOVED(&result, 2, 4, 4, 0, 2);
    CHECK_NEGATIVES(&result, 0, 3, 6);
    CHECK_NEGATIVES(&result, 1, 3);
    CHECK_NEGATIVES(&result, 2, 3, 5, 6);
    CHECK_NEGATIVES(&result, 3, 2, 0, 1);
    CHECK_NEGATIVES(&result, 4, 6, 3);
    CHECK_NEGATIVES(&result, 6, 1, 4, 2);
    assert_int_equal(result.total, 14);
    assert_int_equal(result.anchors.fell_short, 3);
    family_destroy(&result);
}

static void a_relative_margin_of_distances_multiplies(void **state)
{
    (void)state;
    family_options options = l2_options("topk:5");
    filter_by(&options, FAMILY_RELATIVE_MARGIN, -0.5);
    family_result result;
    family_mine(&golden, &options, &result);
    CHECK_REMOVED(&result, 0, 0, 0, 9);
    CHECK_NEGATIVES(&result, 0, 3, 6, 4);
    CHECK_NEGATIVES(&result, 1, 3, 2, 5);
    CHECK_NEGATIVES(&result, 2, 6, 1);
    CHECK_NEGATIVES(&result, 4, 3, 0, 5);
    family_destroy(&result);
}

/* d_pos is the farthest selected positive; the nearest here is at 1, the farthest at 3. */
static void margins_are_from_the_farthest_selected_positive(void **state)
{
    (void)state;
    const float x[] = {0, 1, 3, 2, 4};
    const int64_t labels[] = {A, A, A, B, B};
    const reference_store store = {5, 1, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("hard");
    filter_by(&options, FAMILY_ABSOLUTE_MARGIN, 0.0);
    family_result result;
    family_mine(&store, &options, &result);
    assert_int_equal(result.triplets[0].anchor, 0);
    assert_int_equal(result.triplets[0].negative, 4);
    family_destroy(&result);
    options.positives = "easiest";
    family_mine(&store, &options, &result);
    assert_int_equal(result.triplets[0].anchor, 0);
    assert_int_equal(result.triplets[0].negative, 3);
    family_destroy(&result);
}

/* dot: similarities of row 0 are 4 (positive), then 3, 2 and -8. s_n <= 4 - 4 r. With other labels it has its
 * positive at -8 and the bound at -8 - 8 r: the size of s_pos counts, not its sign. */
static void a_relative_margin_of_similarities_goes_by_their_size(void **state)
{
    (void)state;
    const float x[] = {1, 4, 3, 2, -8};
    const int64_t labels[] = {A, A, B, C, D};
    reference_store store = {5, 1, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("topk:3");
    options.metric = TRM_METRIC_DOT;
    filter_by(&options, FAMILY_RELATIVE_MARGIN, 0.5);
    family_result result;
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, 3, 4); /* 2 and -8 <= 2 */
    family_destroy(&result);
    const int64_t far[] = {A, B, C, D, A};
    store.labels = far;
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, -1); /* none <= -12 */
    CHECK_REMOVED(&result, 0, 0, 0, 3);
    family_destroy(&result);
    options.filter[FAMILY_RELATIVE_MARGIN].value = -1.375;
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, 2, 3); /* 3 and 2 <= -8 + 11, 4 is not */
    family_destroy(&result);
}

/* cosine: the positive's similarity to row 0 is 0.8, the negatives' 0.6, 0.25 and 0. s_n <= 0.8 - 0.8 * 0.5,
 * so d_n >= 0.6; were s = -d, it would be d_n >= 0.3. */
static void a_relative_margin_of_cosines_is_of_one_minus_distance(void **state)
{
    (void)state;
    const float x[] = {1, 0, 0.8F, 0.6F, 0.6F, 0.8F, 0.25F, 0.9682458F, 0, 1};
    const int64_t labels[] = {A, A, B, C, D};
    const reference_store store = {5, 2, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("topk:3");
    options.metric = TRM_METRIC_COSINE;
    filter_by(&options, FAMILY_RELATIVE_MARGIN, 0.5);
    family_result result;
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, 3, 4);
    family_destroy(&result);
}

/* Two selected positives: near any of them is enough; a positive that is not selected does not count. */
static void not_near_any_selected_positive(void **state)
{
    (void)state;
    const float x[] = {0, 4, 8, 4, 8, 20};
    const int64_t labels[] = {A, A, A, B, C, D};
    const reference_store store = {6, 1, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("topk:3");
    filter_by(&options, FAMILY_NOT_NEAR_POSITIVE, 0.0);
    family_result result;
    family_mine(&store, &options, &result);
    assert_int_equal(result.triplets[0].negative, 5);
    assert_int_equal(result.triplets[0].rank, 1);
    family_destroy(&result);
    options.positives = "nearest:1";
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, 4, 5);
    family_destroy(&result);
}

static void multisimilarity_keeps_pairs_that_are_near_the_border(void **state)
{
    (void)state;
    family_options options = l2_options("multisimilarity:1");
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.kept_positives, 4); /* those of 3 and 6 are at the bound: 1 + 1 > 2 is not */
    assert_int_equal(result.kept_negatives, 17);
    assert_int_equal(result.total, 17);
    CHECK_NEGATIVES(&result, 1, 4, 6, 3, 2);
    CHECK_NEGATIVES(&result, 4, 1, 6, 3);
    family_destroy(&result);
    options.negatives = "multisimilarity:1.5";
    family_mine(&golden, &options, &result);
    assert_int_equal(result.kept_positives, 6);
    assert_int_equal(result.kept_negatives, 22);
    CHECK_NEGATIVES(&result, 3, 2);
    CHECK_NEGATIVES(&result, 6, 1, 4);
    family_destroy(&result);
}

/* dot: the positive's similarity is 4, the negatives' 3, 2, -8; epsilon 1 meets both bounds exactly. */
static void multisimilarity_of_similarities_is_strict(void **state)
{
    (void)state;
    const float x[] = {1, 4, 3, 2, -8};
    const int64_t labels[] = {A, A, B, C, D};
    const reference_store store = {5, 1, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("multisimilarity:1");
    options.metric = TRM_METRIC_DOT;
    family_result result;
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, -1); /* 4 - 1 < 3, 3 + 1 > 4 */
    family_destroy(&result);
    options.negatives = "multisimilarity:1.25";
    family_mine(&store, &options, &result);
    CHECK_NEGATIVES(&result, 0, 2);
    family_destroy(&result);
}

static void lists_have_a_line_for_every_selected_pair(void **state)
{
    (void)state;
    family_options options = l2_options("topk:3");
    options.rank_from = 4;
    options.lists = true;
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.lists.lines, 6);
    assert_int_equal(result.lists.width, 3);
    assert_int_equal(result.lists.anchor[4], 4);
    assert_int_equal(result.lists.positive[4], 2);
    assert_true(result.lists.d_ap[4] == 5.0);
    const int64_t *negative = result.lists.negative + 12;
    const double *d_an = result.lists.d_an + 12;
    assert_int_equal(negative[0], 0);
    assert_int_equal(negative[1], 5);
    assert_int_equal(negative[2], -1);
    assert_true(d_an[0] == 6.0 && d_an[1] == 7.0 && isinf(d_an[2]));
    family_destroy(&result);
    options = l2_options("semihard");
    options.lists = true;
    options.margin = 1.5;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.lists.lines, 6);
    assert_int_equal(result.lists.width, 1);
    assert_int_equal(result.skipped, 2);
    assert_int_equal(result.lists.negative[0], -1); /* (0, 1) has no farther negative */
    assert_int_equal(result.lists.negative[1], 5);
    family_destroy(&result);
}

static void lists_of_an_anchor_are_by_row_of_the_positive(void **state)
{
    (void)state;
    const float x[] = {0, 9, 1, 5};
    const int64_t labels[] = {A, A, A, B};
    const reference_store store = {4, 1, x, labels, NULL, 0, 0.0};
    family_options options = l2_options("hard");
    options.lists = true;
    family_result result;
    family_mine(&store, &options, &result);
    static const int64_t anchor[] = {0, 0, 1, 1, 2, 2}, positive[] = {1, 2, 0, 2, 0, 1};
    assert_int_equal(result.lists.lines, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(result.lists.anchor[i], anchor[i]);
        assert_int_equal(result.lists.positive[i], positive[i]);
        assert_int_equal(result.lists.negative[i], 3);
        assert_int_equal(result.triplets[i].positive, positive[i]);
    }
    family_destroy(&result);
}

static void what_is_too_many_is_counted_and_not_listed(void **state)
{
    (void)state;
    family_options options = l2_options("violating");
    options.list_at_most = 21;
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.total, 22);
    assert_int_equal(result.count, 0);
    assert_null(result.triplets);
    family_destroy(&result);
    options.list_at_most = 22;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.count, 22);
    family_destroy(&result);
}

static void stores_without_a_valid_anchor_make_nothing(void **state)
{
    (void)state;
    static const char *const negatives[] = {
        "semihard",      "hard",      "topk:2",   "random:2", "weighted:2",
        "within-margin", "violating", "hard-all", "easy-all", "multisimilarity:0.1"};
    const int64_t one_class[7] = {0}, singletons[] = {0, 1, 2, 3, 4, 5, 6}, drop = 0;
    const reference_store stores[] = {{7, 1, line, one_class, NULL, 0, 0.0},
                                      {7, 1, line, singletons, NULL, 0, 0.0},
                                      {7, 1, line, one_class, &drop, 1, 0.0}};
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++)
        for (int s = 0; s < 3; s++) {
            const family_options options = l2_options(negatives[i]);
            family_result result;
            family_mine(&stores[s], &options, &result);
            assert_int_equal(result.total, 0);
            assert_int_equal(result.anchors.valid, 0);
            assert_int_equal(result.anchors.no_negative, s == 0 ? 7 : 0);
            assert_int_equal(result.anchors.no_positive, s == 1 ? 7 : 0);
            assert_int_equal(result.anchors.ignored, s == 2 ? 7 : 0);
            assert_int_equal(result.anchors.fell_short, 0);
            assert_true(result.gap.mean == 0.0 && result.gap.max == 0.0);
            family_destroy(&result);
        }
}

/* ---- two sets ---- */

/* Against the seven rows; there is a copy of each among them, which is an ordinary row:
 *   0: 0 (0)  2 (1)  5 (1)  3 (3)  6 (4)  1 (6)  4 (6)
 *   1: 1 (0)  4 (0)  6 (2)  3 (3)  2 (5)  0 (6)  5 (7)
 *   2: 3 (0)  6 (1)  2 (2)  0 (3)  1 (3)  4 (3)  5 (4) */
static const float asked[] = {0, 6, 3};
static const int64_t asked_labels[] = {A, B, D + 1};
static const reference_store questions = {3, 1, asked, asked_labels, NULL, 0, 0.0};

static void queries_go_by_label_and_none_is_its_own_candidate(void **state)
{
    (void)state;
    const family_sets sets = {.store = &golden, .queries = &questions};
    family_options options = l2_options("topk:2");
    family_result result;
    family_mine_sets(&sets, &options, &result);
    assert_int_equal(result.anchors.total, 3);
    assert_int_equal(result.anchors.valid, 2);
    assert_int_equal(result.anchors.no_positive, 1);
    assert_int_equal(result.positive_pairs, 4); /* 0 with 0 and 1, 1 with 2 and 4 */
    assert_int_equal(result.total, 8);
    assert_int_equal(result.triplets[0].positive, 0);
    assert_true(result.triplets[0].d_ap == 0.0);
    family_destroy(&result);
    options.positives = "easiest";
    options.lone = true;
    family_mine_sets(&sets, &options, &result);
    CHECK_NEGATIVES(&result, 0, 2, 5);
    CHECK_NEGATIVES(&result, 1, 1, 6);
    CHECK_NEGATIVES(&result, 2, 3, 6);
    assert_int_equal(result.anchors.no_positive, 1);
    assert_int_equal(result.positive_pairs, 3);
    assert_int_equal(result.triplets[4].positive, -1);
    assert_true(result.triplets[4].d_ap == 0.0 && result.triplets[4].d_an == 0.0);
    family_destroy(&result);
}

static void listed_rows_are_the_positives_whatever_labels_say(void **state)
{
    (void)state;
    static const family_pair pair[] = {{0, 5}, {1, 4}, {0, 2}, {2, 3}, {0, 5}, {1, 1}};
    static const reference_store bare = {7, 1, line, NULL, NULL, 0, 0.0};
    static const reference_store bare_questions = {3, 1, asked, NULL, NULL, 0, 0.0};
    family_sets sets = {.store = &bare, .queries = &bare_questions, .listed = true, .pair = pair, .pairs = 6};
    family_options options = l2_options("topk:3");
    options.positives = "hardest";
    family_result result;
    family_mine_sets(&sets, &options, &result);
    CHECK_NEGATIVES(&result, 0, 0, 3, 6);
    CHECK_NEGATIVES(&result, 1, 6, 3, 2);
    CHECK_NEGATIVES(&result, 2, 6, 2, 0);
    assert_int_equal(result.repeated_pairs, 1);
    assert_int_equal(result.anchors.valid, 3);
    assert_int_equal(result.triplets[0].positive, 2);
    family_destroy(&result);
    sets.store = &golden;
    sets.queries = &questions;
    sets.and_labels = true; /* neither 0 and 1 for query 0, nor 2 for query 1 */
    family_mine_sets(&sets, &options, &result);
    CHECK_NEGATIVES(&result, 0, 3, 6, 4);
    CHECK_NEGATIVES(&result, 1, 6, 3, 0);
    CHECK_NEGATIVES(&result, 2, 6, 2, 0);
    family_destroy(&result);
}

static void what_is_near_a_listed_positive_is_measured_in_the_store(void **state)
{
    (void)state;
    static const family_pair pair[] = {{1, 1}, {0, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}};
    const family_sets sets = {
        .store = &golden, .queries = &questions, .listed = true, .pair = pair, .pairs = 8};
    family_options options = l2_options("topk:2");
    filter_by(&options, FAMILY_NOT_NEAR_POSITIVE, 0.0); /* 4 is a copy of 1 */
    family_result result;
    family_mine_sets(&sets, &options, &result);
    CHECK_NEGATIVES(&result, 1, 6, 3);
    CHECK_REMOVED(&result, 0, 0, 0, 0, 1);
    assert_int_equal(result.anchors.no_negative, 1);
    assert_int_equal(result.anchors.no_positive, 1);
    assert_int_equal(result.anchors.valid, 1);
    family_destroy(&result);
}

/* ---- draws ---- */

/* Philox 4x32-10's published answer for key 0 and counter 0 is 6627e8d5 e169c58d ... */
static void a_draw_is_made_of_the_first_53_random_bits(void **state)
{
    (void)state;
    assert_true(family_uniform(0, 0, 0) == (0xcc4fd1abc2d38.0p0 + 0.5) * 0x1p-53);
    uint32_t bits[4];
    trm_random_bits(1, 2, 3, bits); /* seed, stream, index: the anchor is the stream */
    const uint64_t high = (uint64_t)bits[0] << 32 | bits[1];
    assert_true(family_uniform(1, 2, 3) == ((double)(high >> 11) + 0.5) * 0x1p-53);
}

/* Of rows 2, 3, ..., 6, in ascending order of the draw. */
static int64_t drawn(uint64_t seed, int64_t anchor, const int64_t *rows, int count, int place)
{
    for (int i = 0; i < count; i++) {
        int before = 0;
        for (int j = 0; j < count; j++)
            before += family_uniform(seed, anchor, rows[j]) < family_uniform(seed, anchor, rows[i]);
        if (before == place)
            return rows[i];
    }
    return -1;
}

static void random_choices_take_the_smallest_draws(void **state)
{
    (void)state;
    static const int64_t of_0[] = {2, 3, 4, 5, 6}, of_3[] = {0, 1, 2, 4, 5}, of_4[] = {0, 5};
    for (uint64_t seed = 0; seed < 20; seed++) {
        family_options options = l2_options("random:2");
        options.seed = seed;
        family_result result;
        family_mine(&golden, &options, &result);
        CHECK_NEGATIVES(&result, 0, drawn(seed, 0, of_0, 5, 0), drawn(seed, 0, of_0, 5, 1));
        CHECK_NEGATIVES(&result, 3, drawn(seed, 3, of_3, 5, 0), drawn(seed, 3, of_3, 5, 1));
        family_destroy(&result);
        options.negatives = "semihard";
        options.window = "none";
        options.pick = options.fallback = "random";
        family_mine(&golden, &options, &result);
        CHECK_NEGATIVES(&result, 3, drawn(seed, 3, of_3, 5, 0)); /* all are farther */
        CHECK_NEGATIVES(&result, 4, drawn(seed, 4, of_4, 2, 0)); /* two are */
        CHECK_NEGATIVES(&result, 0, drawn(seed, 0, of_0, 5, 0)); /* none is: of all */
        assert_int_equal(result.fallback, 2);
        family_destroy(&result);
    }
}

static void random_positives_are_those_with_the_smallest_draws(void **state)
{
    (void)state;
    const float x[] = {0, 8, 2, 4, 6, 100};
    const int64_t labels[] = {A, A, A, A, A, B};
    static const int64_t others[] = {1, 2, 3, 4};
    const reference_store store = {6, 1, x, labels, NULL, 0, 0.0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        family_options options = l2_options("hard");
        options.positives = "random:2";
        options.seed = seed;
        family_result result;
        family_mine(&store, &options, &result);
        assert_int_equal(result.positive_pairs, 10);
        const int64_t first = drawn(seed, 0, others, 4, 0), second = drawn(seed, 0, others, 4, 1);
        assert_int_equal(result.triplets[0].positive, first < second ? first : second);
        assert_int_equal(result.triplets[1].positive, first < second ? second : first);
        family_destroy(&result);
    }
}

/* Of positives at 1, 2, 3 and 4 two are drawn; the farther one decides how far a negative must be. */
static void margins_are_from_the_farthest_random_positive(void **state)
{
    (void)state;
    const float x[] = {0, 1, 2, 3, 4, 1, 2, 3, 4};
    const int64_t labels[] = {A, A, A, A, A, B, B, B, B};
    static const int64_t others[] = {1, 2, 3, 4};
    const reference_store store = {9, 1, x, labels, NULL, 0, 0.0};
    for (uint64_t seed = 0; seed < 20; seed++) {
        family_options options = l2_options("hard");
        options.positives = "random:2";
        options.seed = seed;
        filter_by(&options, FAMILY_ABSOLUTE_MARGIN, 0.0);
        family_result result;
        family_mine(&store, &options, &result);
        const int64_t first = drawn(seed, 0, others, 4, 0), second = drawn(seed, 0, others, 4, 1);
        assert_int_equal(result.triplets[0].anchor, 0);
        assert_int_equal(result.triplets[0].negative, 4 + (first > second ? first : second));
        family_destroy(&result);
    }
}

static void weights_by_hand(void **state)
{
    (void)state;
    assert_true(family_log_weight(3, 1.0) == 0.0); /* three dimensions: 1 / d */
    assert_true(family_log_weight(3, 0.5) == -log(0.5));
    assert_true(family_log_weight(3, 0.125) == -log(0.5));
    assert_true(isinf(family_log_weight(3, 1.4)) && isinf(family_log_weight(3, 2.0)));
    assert_true(isfinite(family_log_weight(100000, 0.0)));
    assert_true(family_log_weight(2, 1.0) == 0.5 * log(0.75)); /* two: sqrt(1 - d^2 / 4) */
}

/* Eight rows on a unit circle in four dimensions, where weights differ a lot: an anchor, its positive, and
 * six negatives at angles, of which the last is too far to be drawn by weight. */
enum { CIRCLE = 8, CIRCLE_DIM = 4 };
static const double angle[CIRCLE] = {0.0, 0.1, 0.2, 0.6, 0.9, -1.1, 1.3, 1.7};
static const int64_t circle_labels[CIRCLE] = {A, A, B, B, B, B, B, B};

static void make_circle(float *x)
{
    for (int i = 0; i < CIRCLE; i++) {
        x[CIRCLE_DIM * i] = (float)cos(angle[i]);
        x[CIRCLE_DIM * i + 1] = (float)sin(angle[i]);
    }
}

/* How often anchor 0 draws row i first and row j second: cell i * CIRCLE + j. */
static void count_draws(const char *negatives, trm_metric metric, int64_t *seen)
{
    float x[CIRCLE_DIM * CIRCLE] = {0};
    make_circle(x);
    const reference_store store = {CIRCLE, CIRCLE_DIM, x, circle_labels, NULL, 0, 0.0};
    family_options options = l2_options(negatives);
    options.metric = metric;
    options.positives = "easiest";
    for (options.seed = 0; options.seed < 4000; options.seed++) {
        family_result result;
        family_mine(&store, &options, &result);
        int64_t first = 0, second = 0;
        for (int64_t i = 0; i < result.count && result.triplets[i].anchor == 0; i++) {
            if (result.triplets[i].rank == 1)
                first = result.triplets[i].negative;
            if (result.triplets[i].rank == 2)
                second = result.triplets[i].negative;
        }
        seen[first * CIRCLE + second]++;
        family_destroy(&result);
    }
}

static void random_draws_are_uniform(void **state)
{
    (void)state;
    int64_t seen[CIRCLE * CIRCLE] = {0};
    double weight[CIRCLE * CIRCLE] = {0.0};
    for (int i = 2; i < CIRCLE; i++)
        for (int j = 2; j < CIRCLE; j++)
            weight[i * CIRCLE + j] = i != j;
    count_draws("random:2", TRM_METRIC_L2, seen);
    assert_true(chi_square_test(seen, weight, CIRCLE * CIRCLE) > 0.001);
}

/* The second one by what is left: w_j / (sum of w - w_i). */
static void weighted_draws_are_by_weight_without_replacement(void **state)
{
    (void)state;
    static const trm_metric metrics[] = {TRM_METRIC_COSINE, TRM_METRIC_L2, TRM_METRIC_SQL2, TRM_METRIC_DOT};
    double w[CIRCLE] = {0.0}, sum = 0.0, weight[CIRCLE * CIRCLE] = {0.0};
    for (int i = 2; i < CIRCLE; i++) {
        const double d = fmax(0.5, 2.0 * sin(0.5 * fabs(angle[i])));
        w[i] = d < 1.4 ? 1.0 / (d * d * sqrt(1.0 - 0.25 * d * d)) : 0.0;
        sum += w[i];
    }
    for (int i = 2; i < CIRCLE; i++)
        for (int j = 2; j < CIRCLE; j++)
            weight[i * CIRCLE + j] = i != j ? w[i] / sum * w[j] / (sum - w[i]) : 0.0;
    for (int i = 0; i < 4; i++) {
        int64_t seen[CIRCLE * CIRCLE] = {0};
        count_draws("weighted:2", metrics[i], seen);
        assert_true(chi_square_test(seen, weight, CIRCLE * CIRCLE) > 0.001);
    }
}

/* There are six negatives, one of them of weight 0. */
static void what_has_no_weight_is_never_drawn(void **state)
{
    (void)state;
    float x[CIRCLE_DIM * CIRCLE] = {0};
    make_circle(x);
    const reference_store store = {CIRCLE, CIRCLE_DIM, x, circle_labels, NULL, 0, 0.0};
    family_options options = l2_options("weighted:6");
    family_result result;
    family_mine(&store, &options, &result);
    int64_t of_0 = 0;
    for (int64_t i = 0; i < result.count; i++)
        of_0 += result.triplets[i].anchor == 0;
    assert_int_equal(of_0, 5);
    assert_in_range(result.anchors.fell_short, 1, 8);
    family_destroy(&result);
}

/* ---- statistics ---- */

static void check_statistics(family_statistics s, const double *want)
{
    assert_true(fabs(s.mean - want[0]) <= 0x1p-52 && fabs(s.std - want[1]) <= 0x1p-51);
    assert_true(s.min == want[2] && s.lower_quartile == want[3] && s.median == want[4]);
    assert_true(s.upper_quartile == want[5] && s.max == want[6]);
}

/* Want: numpy's mean, std, min, quantile(0.25), quantile(0.5), quantile(0.75) and max. */
static void statistics_are_those_of_numpy(void **state)
{
    (void)state;
    double seven[] = {0.1, 0.2, 0.3, 0.7, 1e-3, 5.5, 2.25};
    double eight[] = {0.1, 0.2, 0.3, 0.7, 1e-3, 5.5, 2.25, 1.0 / 3.0};
    double one[] = {3.5};
    check_statistics(family_describe(seven, 7),
                     (const double[]){0x1.4b020c49ba5e3p+0, 0x1.dc613763f842fp+0, 1e-3, 0x1.3333333333334p-3,
                                      0.3, 0x1.799999999999ap+0, 5.5});
    check_statistics(family_describe(eight, 8),
                     (const double[]){0x1.2c4c756b2dbd2p+0, 0x1.c4f584515def9p+0, 1e-3, 0x1.6666666666667p-3,
                                      0x1.4444444444444p-2, 0x1.1666666666666p+0, 5.5});
    check_statistics(family_describe(one, 1), (const double[]){3.5, 0, 3.5, 3.5, 3.5, 3.5, 3.5});
}

/* Their mean is no float64: deviations from it would be rounded to nothing or to twice as much. */
static void the_deviation_of_neighbouring_values_is_exact(void **state)
{
    (void)state;
    double two[] = {1.0, 1.0 + 0x1p-52}, four[] = {3.0, 3.0, 3.0, 3.0 + 0x1p-51}, same[] = {0.1, 0.1, 0.1};
    assert_true(family_describe(two, 2).std == 0x1p-53);
    assert_true(family_describe(four, 4).std == sqrt(3.0) * 0x1p-53);
    assert_true(family_describe(same, 3).std == 0.0);
}

/* Triplets of the golden rows with l2, semihard, margin 1.5: d_ap 6 1 5 1, d_an 7 2 6 2. */
static void statistics_are_over_the_triplets(void **state)
{
    (void)state;
    family_options options = l2_options("semihard");
    options.margin = 1.5;
    family_result result;
    family_mine(&golden, &options, &result);
    assert_int_equal(result.d_ap.count, 4);
    check_statistics(result.d_ap, (const double[]){3.25, sqrt(5.1875), 1, 1, 3, 5.25, 6});
    check_statistics(result.d_an, (const double[]){4.25, sqrt(5.1875), 2, 2, 4, 6.25, 7});
    check_statistics(result.gap, (const double[]){1, 0, 1, 1, 1, 1, 1});
    family_destroy(&result);
}

/* ---- against the older reference ---- */

static void check_same(const reference_result *want, const family_result *got)
{
    assert_int_equal(got->count, want->count);
    for (int64_t i = 0; i < want->count; i++)
        assert_memory_equal(&got->triplets[i], &want->triplets[i], sizeof(trm_triplet));
    assert_int_equal(got->anchors.valid, want->summary.anchors.valid);
    assert_int_equal(got->anchors.no_positive, want->summary.anchors.no_positive);
    assert_int_equal(got->anchors.no_negative, want->summary.anchors.no_negative);
    assert_int_equal(got->anchors.ignored, want->summary.anchors.ignored);
    assert_int_equal(got->positive_pairs, want->summary.positive_pairs);
    assert_int_equal(got->fallback, want->summary.triplets.fallback);
    assert_int_equal(got->skipped, want->summary.triplets.skipped);
}

static void semihard_on_random_stores_is_as_in_the_older_reference(void **state)
{
    (void)state;
    static const char *const positives[] = {"all", "hardest", "easiest", "nearest:2"};
    static const char *const windows[] = {"none", "lt", "le"}, *const picks[] = {"nearest", "farthest"};
    static const char *const fallbacks[] = {"skip", "farthest-inside", "hardest"};
    int64_t triplets = 0;
    for (int number = 0; number < 144; number++) {
        random_store rows;
        random_store_create((uint64_t)number, &rows);
        const reference_store store = {
            rows.rows, rows.dim, rows.embeddings, rows.labels, rows.ignore_label, rows.ignore_count, 0.0};
        trm_mine_options old = {.negatives = "semihard", .margin = 0.5 * (number % 5)};
        family_options options = l2_options("semihard");
        old.metric = options.metric = (trm_metric)(number / 2 % 4);
        options.margin = old.margin;
        old.positives = options.positives = positives[number / 8 % 4];
        old.window = (trm_window)(number % 3);
        options.window = windows[old.window];
        old.pick = (trm_pick)(number % 2);
        options.pick = picks[old.pick];
        old.fallback = (trm_fallback)(number / 3 % 3);
        options.fallback = fallbacks[old.fallback];
        reference_result want;
        family_result got;
        reference_mine(&store, &old, &want);
        family_mine(&store, &options, &got);
        check_same(&want, &got);
        triplets += want.count;
        reference_destroy(&want);
        family_destroy(&got);
        random_store_destroy(&rows);
    }
    assert_true(triplets > 10000);
}

/* ---- random options ---- */

/* What must hold of any result, whatever was drawn. */
static void check_sound(const random_store *rows, const family_options *options, const family_result *result)
{
    const reference_store store = random_store_view(rows);
    assert_true(result->count == result->total || (result->count == 0 && result->total > 200000));
    int64_t fallback = 0, cells = 0;
    for (int64_t i = 0; i < result->count; i++) {
        const trm_triplet *t = &result->triplets[i];
        assert_true(t->anchor != t->positive && rows->labels[t->anchor] == rows->labels[t->positive]);
        assert_true(rows->labels[t->anchor] != rows->labels[t->negative]);
        assert_true(reference_takes_part(&store, t->anchor) && reference_takes_part(&store, t->negative));
        assert_true(t->d_ap == reference_distance(&store, options->metric, t->anchor, t->positive));
        assert_true(t->d_an == reference_distance(&store, options->metric, t->anchor, t->negative));
        assert_true(t->rank >= 1);
        fallback += t->kind;
    }
    assert_int_equal(fallback, result->count > 0 ? result->fallback : 0);
    assert_int_equal(result->lists.lines, options->lists ? result->positive_pairs : 0);
    for (int64_t i = 0; i < result->lists.lines * result->lists.width; i++)
        cells += result->lists.negative[i] >= 0;
    assert_int_equal(cells, options->lists ? result->total : 0);
    assert_int_equal(result->sets[FAMILY_WITHIN_MARGIN] + result->sets[FAMILY_HARD_ALL],
                     result->sets[FAMILY_VIOLATING]);
}

/* Random options that never filter, never fall short or never find anything would test nothing. */
static void random_options_reach_every_rule(void **state)
{
    (void)state;
    enum { NUMBERS = 3 * RANDOM_FAMILIES };
    int64_t found[10] = {0}, removed[FAMILY_FILTERS] = {0}, fell_short = 0, lists = 0, ranks = 0, after = 0;
    for (uint64_t number = 0; number < NUMBERS; number++) {
        random_store rows;
        random_family family;
        random_store_create(number, &rows);
        random_family_create(number, &rows, &family);
        const reference_store store = random_store_view(&rows);
        family_result result;
        family_mine(&store, &family.options, &result);
        check_sound(&rows, &family.options, &result);
        found[number / 4 % 10] += result.total > 0;
        fell_short += result.anchors.fell_short > 0 && result.total > 0;
        lists += result.lists.lines > 0;
        ranks += family.options.rank_from > 1 && result.total > 0;
        after += family.options.rank_order_after && result.total > 0;
        for (int filter = 0; filter < FAMILY_FILTERS; filter++)
            removed[filter] += result.removed[filter] > 0 && result.total > 0;
        family_destroy(&result);
        random_store_destroy(&rows);
    }
    for (int policy = 0; policy < 10; policy++)
        assert_true(found[policy] >= NUMBERS / 10 / 4);
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        assert_true(removed[filter] >= 10);
    assert_true(fell_short >= 20 && lists >= 20 && ranks >= 20 && after >= 10);
}

static void random_options_are_the_same_for_the_same_number(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < RANDOM_FAMILIES; number++) {
        random_store one, two;
        random_family first, second;
        char text[1000], again[1000];
        random_store_create(number, &one);
        random_store_create(number, &two);
        random_family_create(number, &one, &first);
        random_family_create(number, &two, &second);
        random_family_describe(&first, text, sizeof text);
        random_family_describe(&second, again, sizeof again);
        assert_string_equal(text, again);
        assert_true(strlen(text) < sizeof text - 1);
        assert_memory_equal(one.embeddings, two.embeddings,
                            (size_t)(one.rows * one.dim) * sizeof *one.embeddings);
        random_store_destroy(&one);
        random_store_destroy(&two);
    }
}

static void random_options_are_described_as_the_program_takes_them(void **state)
{
    (void)state;
    random_family family = {.options = l2_options("topk:3")};
    char text[1000];
    filter_by(&family.options, FAMILY_RELATIVE_MARGIN, 0.1);
    family.options.rank_from = 4;
    family.options.rank_order_after = family.options.lists = true;
    random_family_describe(&family, text, sizeof text);
    assert_string_equal(text, "--metric l2 --margin 1 --positives all --negatives topk:3 --seed 0 --ranks 4- "
                              "--rank-order after --relative-margin 0.10000000000000001 --form lists");
    random_family_describe(&family, text, 12);
    assert_string_equal(text, "--metric l2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_triplets_of_the_semihard_rule),
        cmocka_unit_test(golden_sizes_of_the_sets),
        cmocka_unit_test(golden_batch_hard),
        cmocka_unit_test(topk_ranks_by_distance_then_row),
        cmocka_unit_test(topk_beyond_what_there_is_falls_short),
        cmocka_unit_test(ranks_keep_both_ends),
        cmocka_unit_test(ranks_count_before_the_filters_or_after),
        cmocka_unit_test(filters_keep_their_bounds_and_the_first_is_charged),
        cmocka_unit_test(a_relative_margin_of_distances_multiplies),
        cmocka_unit_test(margins_are_from_the_farthest_selected_positive),
        cmocka_unit_test(a_relative_margin_of_similarities_goes_by_their_size),
        cmocka_unit_test(a_relative_margin_of_cosines_is_of_one_minus_distance),
        cmocka_unit_test(not_near_any_selected_positive),
        cmocka_unit_test(multisimilarity_keeps_pairs_that_are_near_the_border),
        cmocka_unit_test(multisimilarity_of_similarities_is_strict),
        cmocka_unit_test(lists_have_a_line_for_every_selected_pair),
        cmocka_unit_test(lists_of_an_anchor_are_by_row_of_the_positive),
        cmocka_unit_test(what_is_too_many_is_counted_and_not_listed),
        cmocka_unit_test(stores_without_a_valid_anchor_make_nothing),
        cmocka_unit_test(queries_go_by_label_and_none_is_its_own_candidate),
        cmocka_unit_test(listed_rows_are_the_positives_whatever_labels_say),
        cmocka_unit_test(what_is_near_a_listed_positive_is_measured_in_the_store),
        cmocka_unit_test(a_draw_is_made_of_the_first_53_random_bits),
        cmocka_unit_test(random_choices_take_the_smallest_draws),
        cmocka_unit_test(random_positives_are_those_with_the_smallest_draws),
        cmocka_unit_test(margins_are_from_the_farthest_random_positive),
        cmocka_unit_test(weights_by_hand),
        cmocka_unit_test(random_draws_are_uniform),
        cmocka_unit_test(weighted_draws_are_by_weight_without_replacement),
        cmocka_unit_test(what_has_no_weight_is_never_drawn),
        cmocka_unit_test(statistics_are_those_of_numpy),
        cmocka_unit_test(the_deviation_of_neighbouring_values_is_exact),
        cmocka_unit_test(statistics_are_over_the_triplets),
        cmocka_unit_test(semihard_on_random_stores_is_as_in_the_older_reference),
        cmocka_unit_test(random_options_reach_every_rule),
        cmocka_unit_test(random_options_are_the_same_for_the_same_number),
        cmocka_unit_test(random_options_are_described_as_the_program_takes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
