/* The brute-force mining family against the miners of pytorch-metric-learning, as recorded in
 * data/pml_miners.json: equal where the rules are the same; each difference has a test that names it.
 *
 * The peer's distance is by default l2 of normalised rows. Where only its order counts, cosine of the rows as
 * they are stands for it here, since normalised rows are rounded to float32. Where its size counts, it is l2 of
 * rows made unit rows: no decision of these stores is so near to a bound that the rounding matters. Its other
 * miners have no counterpart here and are not recorded. */
#include "support/reference_family.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STORES = 3 }; /* plain; uneven classes, some of one row; tight clusters with copies */
static const char *const store_names[STORES] = {"A", "B", "C"};

static json_t *recorded;
static reference_store as_given[STORES], unit_rows[STORES];

static json_t *member(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value)
        fprintf(stderr, "pml_miners.json has no \"%s\" here\n", key);
    assert_non_null(value);
    return value;
}

static json_t *item(json_t *array, int64_t i)
{
    json_t *value = json_array_get(array, (size_t)i);
    assert_non_null(value);
    return value;
}

static int64_t whole(json_t *array, int64_t i)
{
    return (int64_t)json_integer_value(item(array, i));
}

static json_t *miner(int store, const char *name)
{
    return member(member(member(member(recorded, "stores"), store_names[store]), "miners"), name);
}

static void read_store(int s)
{
    json_t *store = member(member(recorded, "stores"), store_names[s]);
    json_t *values = member(store, "embeddings"), *labels = member(store, "labels");
    const int64_t rows = (int64_t)json_array_size(labels);
    const int dim = (int)json_integer_value(member(store, "dim"));
    float *x = calloc((size_t)(rows * dim), sizeof *x), *unit = calloc((size_t)(rows * dim), sizeof *unit);
    int64_t *label = calloc((size_t)rows, sizeof *label);
    assert_true(x && unit && label && (int64_t)json_array_size(values) == rows * dim);
    for (int64_t i = 0; i < rows; i++) {
        double square = 0.0;
        for (int64_t j = i * dim; j < (i + 1) * dim; j++) {
            x[j] = (float)json_number_value(item(values, j));
            square += (double)x[j] * (double)x[j];
        }
        for (int64_t j = i * dim; j < (i + 1) * dim; j++)
            unit[j] = (float)((double)x[j] / sqrt(square));
        label[i] = whole(labels, i);
    }
    as_given[s] = (reference_store){rows, dim, x, label, NULL, 0, 0.0};
    unit_rows[s] = (reference_store){rows, dim, unit, label, NULL, 0, 0.0};
}

static int read_all(void **state)
{
    (void)state;
    json_error_t error;
    recorded = json_load_file(TEST_DATA "/pml_miners.json", 0, &error);
    if (!recorded) {
        fprintf(stderr, "%s:%d: %s\n", error.source, error.line, error.text);
        return -1;
    }
    for (int s = 0; s < STORES; s++)
        read_store(s);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    for (int s = 0; s < STORES; s++) {
        free((void *)(uintptr_t)as_given[s].embeddings);
        free((void *)(uintptr_t)unit_rows[s].embeddings);
        free((void *)(uintptr_t)as_given[s].labels);
    }
    json_decref(recorded);
    return 0;
}

static family_result mine(const reference_store *store, trm_metric metric, const char *positives,
                          const char *negatives)
{
    family_options options;
    family_options_init(&options);
    options.metric = metric;
    options.margin = 0.2;
    options.positives = positives;
    options.negatives = negatives;
    options.window = "none"; /* the peer knows no window beside the single negative */
    family_result result;
    family_mine(store, &options, &result);
    return result;
}

static int64_t length(json_t *of, int64_t list)
{
    return whole(member(of, "lengths"), list);
}

/* ---- the same rule ---- */

/* So many triplets, and the sums of their row ids. */
static void check_set(int s, const char *name, const char *negatives)
{
    json_t *want = miner(s, name);
    family_result got = mine(&unit_rows[s], TRM_METRIC_L2, "all", negatives);
    int64_t sum[3] = {0, 0, 0};
    for (int64_t i = 0; i < got.count; i++) {
        sum[0] += got.triplets[i].anchor;
        sum[1] += got.triplets[i].positive;
        sum[2] += got.triplets[i].negative;
    }
    assert_int_equal(got.count, length(want, 0));
    for (int k = 0; k < 3; k++)
        assert_int_equal(sum[k], whole(member(want, "index_sums"), k));
    family_destroy(&got);
}

static void triplet_margin_miners_are_the_sets(void **state)
{
    (void)state;
    for (int s = 0; s < STORES; s++) {
        check_set(s, "TripletMarginMiner(0.2,all)", "violating");
        check_set(s, "TripletMarginMiner(0.2,semihard)", "within-margin");
        check_set(s, "TripletMarginMiner(0.2,hard)", "hard-all");
        check_set(s, "TripletMarginMiner(0.2,easy)", "easy-all");
    }
}

/* One by one; the peer's lists are in the order of the anchors, too. */
static void check_lists(const char *name, trm_metric metric, const char *positives, const char *negatives)
{
    for (int s = 0; s < STORES; s++) {
        json_t *want = miner(s, name), *lists = member(want, "lists");
        json_t *of_negatives = item(lists, (int64_t)json_array_size(lists) - 1);
        family_result got = mine(&as_given[s], metric, positives, negatives);
        assert_int_equal(got.count, length(want, 0));
        for (int64_t i = 0; i < got.count; i++) {
            assert_int_equal(got.triplets[i].anchor, whole(item(lists, 0), i));
            assert_int_equal(got.triplets[i].positive, whole(item(lists, 1), i));
            assert_int_equal(got.triplets[i].negative, whole(of_negatives, i));
        }
        family_destroy(&got);
    }
}

static void batch_hard_is_hardest_with_hard(void **state)
{
    (void)state;
    check_lists("BatchHardMiner()", TRM_METRIC_COSINE, "hardest", "hard");
    check_lists("BatchHardMiner(raw L2)", TRM_METRIC_L2, "hardest", "hard");
    check_lists("BatchEasyHardMiner(hard,hard)", TRM_METRIC_COSINE, "hardest", "hard");
    check_lists("BatchEasyHardMiner(hard,hard) raw L2", TRM_METRIC_L2, "hardest", "hard");
}

static void batch_easy_hard_is_easiest_with_hard(void **state)
{
    (void)state;
    check_lists("BatchEasyHardMiner(easy,hard)", TRM_METRIC_COSINE, "easiest", "hard");
    check_lists("BatchEasyHardMiner(easy,hard) raw L2", TRM_METRIC_L2, "easiest", "hard");
}

static void semihard_negatives_are_the_nearest_farther_ones(void **state)
{
    (void)state;
    check_lists("BatchEasyHardMiner(hard,semihard)", TRM_METRIC_COSINE, "hardest", "semihard");
    check_lists("BatchEasyHardMiner(hard,semihard) raw L2", TRM_METRIC_L2, "hardest", "semihard");
    check_lists("BatchEasyHardMiner(easy,semihard)", TRM_METRIC_COSINE, "easiest", "semihard");
    check_lists("BatchEasyHardMiner(easy,semihard) raw L2", TRM_METRIC_L2, "easiest", "semihard");
}

/* The peer gives pairs, we give triplets: each kept positive with each kept negative of its anchor. */
static void multi_similarity_keeps_the_same_pairs(void **state)
{
    (void)state;
    static const char *const names[] = {"MultiSimilarityMiner(0.1)", "MultiSimilarityMiner(0.5)"};
    static const char *const negatives[] = {"multisimilarity:0.1", "multisimilarity:0.5"};
    for (int s = 0; s < STORES; s++)
        for (int e = 0; e < 2; e++) {
            json_t *want = miner(s, names[e]), *pairs = member(want, "per_anchor");
            family_result got = mine(&as_given[s], TRM_METRIC_COSINE, "all", negatives[e]);
            assert_int_equal(got.kept_positives, length(want, 0));
            assert_int_equal(got.kept_negatives, length(want, 2));
            int64_t next = 0;
            for (int64_t a = 0; a < as_given[s].rows; a++) {
                const int64_t first = next;
                while (next < got.count && got.triplets[next].anchor == a)
                    next++;
                assert_int_equal(next - first, whole(item(pairs, 0), a) * whole(item(pairs, 1), a));
            }
            family_destroy(&got);
        }
}

/* How likely a draws n, up to a factor of a's; 0 where n is no negative. */
static double weight(const reference_store *store, int64_t a, int64_t n)
{
    if (store->labels[a] == store->labels[n])
        return 0.0;
    return exp(family_log_weight(store->dim, sqrt(2.0 * reference_distance(store, TRM_METRIC_COSINE, a, n))));
}

static void distance_weights_are_the_same(void **state)
{
    (void)state;
    for (int s = 0; s < STORES; s++) {
        json_t *want = miner(s, "DistanceWeightedMiner()");
        const reference_store *store = &as_given[s];
        int64_t drawable = 0;
        for (int64_t a = 0; a < store->rows; a++) {
            double sum = 0.0;
            for (int64_t n = 0; n < store->rows; n++) {
                sum += weight(store, a, n);
                drawable += weight(store, a, n) > 0.0;
            }
            for (int64_t n = 0; n < store->rows && a < 3; n++) {
                json_t *share = item(item(member(want, "shares_of_anchors_0_1_2"), a), n);
                assert_true(fabs(weight(store, a, n) / sum - json_number_value(share)) < 1e-9);
            }
        }
        assert_int_equal(drawable, json_integer_value(member(want, "nonzero")));
    }
}

/* ---- differences ---- */

/* The peer's miners of pairs give negative pairs also to rows without a positive; no triplet can be made of
 * them, so we give none. In store B two rows are alone in their class. */
static void rows_without_a_positive_make_nothing(void **state)
{
    (void)state;
    static const int64_t alone[STORES] = {0, 2, 0};
    for (int s = 0; s < STORES; s++) {
        json_t *want = miner(s, "BatchEasyHardMiner(all,hard)");
        family_result got = mine(&as_given[s], TRM_METRIC_COSINE, "all", "hard");
        assert_int_equal(got.anchors.no_positive, alone[s]);
        assert_int_equal(got.positive_pairs, length(want, 0));
        assert_int_equal(got.anchors.valid + alone[s], length(want, 2));
        family_destroy(&got);
        want = miner(s, "BatchEasyHardMiner(hard,all)");
        got = mine(&as_given[s], TRM_METRIC_COSINE, "hardest", "topk:1000");
        assert_int_equal(got.total + alone[s] * (as_given[s].rows - 1), length(want, 2));
        family_destroy(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(triplet_margin_miners_are_the_sets),
        cmocka_unit_test(batch_hard_is_hardest_with_hard),
        cmocka_unit_test(batch_easy_hard_is_easiest_with_hard),
        cmocka_unit_test(semihard_negatives_are_the_nearest_farther_ones),
        cmocka_unit_test(multi_similarity_keeps_the_same_pairs),
        cmocka_unit_test(distance_weights_are_the_same),
        cmocka_unit_test(rows_without_a_positive_make_nothing),
    };
    return cmocka_run_group_tests(tests, read_all, free_all);
}
