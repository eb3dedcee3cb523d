/* Random options: the number walks the product of metrics and policies, random numbers choose the rest. */
#include "support/random_family.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    SEMIHARD,
    HARD,
    TOPK,
    RANDOM,
    WEIGHTED,
    FIRST_SET,
    MULTISIMILARITY = FIRST_SET + FAMILY_SETS,
    NEGATIVES
};
static const char *const negative_words[NEGATIVES] = {"semihard",  "hard",           "topk",     "random",
                                                      "weighted",  "within-margin",  "hard-all", "easy-all",
                                                      "violating", "multisimilarity"};

const char *const random_family_filters[FAMILY_FILTERS] = {"min-distance", "max-distance", "absolute-margin",
                                                           "relative-margin", "not-near-positive"};

static bool chance(test_random *random, int64_t of)
{
    return test_random_below(random, of) == 0;
}

/* The distance of two rows of the store, which may be one row. */
static double some_distance(test_random *random, const random_store *store, trm_metric metric)
{
    const reference_store view = random_store_view(store);
    const int64_t i = test_random_below(random, store->rows);
    return reference_distance(&view, metric, i, test_random_below(random, store->rows));
}

/* How much farther one row is than another, from the same row. */
static double some_gap(test_random *random, const random_store *store, trm_metric metric)
{
    const reference_store view = random_store_view(store);
    const int64_t a = test_random_below(random, store->rows);
    const double from = reference_distance(&view, metric, a, test_random_below(random, store->rows));
    return reference_distance(&view, metric, a, test_random_below(random, store->rows)) - from;
}

/* In place; a row of norm 0 would stay as it is. */
static void make_unit_rows(random_store *store)
{
    for (int64_t i = 0; i < store->rows; i++) {
        float *x = store->embeddings + i * store->dim;
        double square = 0.0;
        for (int j = 0; j < store->dim; j++)
            square += (double)x[j] * (double)x[j];
        for (int j = 0; j < store->dim && square > 0.0; j++)
            x[j] = (float)((double)x[j] / sqrt(square));
    }
}

static int64_t some_count(test_random *random, const random_store *store)
{
    static const int64_t counts[] = {1, 2, 3, 5, 10, 1000};
    const int64_t k = counts[test_random_below(random, 6)];
    return k < 10 || store->rows <= 60 ? k : 4;
}

static void draw_margin(test_random *random, const random_store *store, family_options *options)
{
    static const double margins[] = {0.0, 0.1, 0.25, 1.0, 7.0, 1e6};
    options->margin = chance(random, 2) ? margins[test_random_below(random, 6)]
                                        : fabs(some_gap(random, store, options->metric));
}

static void draw_positives(test_random *random, int policy, const random_store *store, random_family *family)
{
    static const char *const words[] = {"all", "hardest", "easiest", "nearest", "random"};
    if (policy < 3)
        snprintf(family->positives, sizeof family->positives, "%s", words[policy]);
    else
        snprintf(family->positives, sizeof family->positives, "%s:%lld", words[policy],
                 (long long)some_count(random, store));
    family->options.positives = family->positives;
}

static void draw_negatives(test_random *random, int policy, const random_store *store, random_family *family)
{
    static const double epsilons[] = {0.0, 0.1, 0.5};
    const char *word = negative_words[policy];
    const size_t size = sizeof family->negatives;
    if (policy == TOPK || policy == RANDOM || policy == WEIGHTED)
        snprintf(family->negatives, size, "%s:%lld", word, (long long)some_count(random, store));
    else if (policy == MULTISIMILARITY)
        snprintf(family->negatives, size, "%s:%.17g", word,
                 chance(random, 2) ? epsilons[test_random_below(random, 3)]
                                   : fabs(some_gap(random, store, family->options.metric)));
    else
        snprintf(family->negatives, size, "%s", word);
    family->options.negatives = family->negatives;
}

static void draw_semihard(test_random *random, family_options *options)
{
    static const char *const windows[] = {"none", "lt", "le"};
    static const char *const picks[] = {"nearest", "farthest", "random"};
    static const char *const fallbacks[] = {"skip", "farthest-inside", "hardest", "random"};
    options->window = windows[test_random_below(random, 3)];
    options->pick = picks[test_random_below(random, 3)];
    options->fallback = fallbacks[test_random_below(random, 4)];
}

static double filter_value(test_random *random, int filter, const random_store *store, trm_metric metric)
{
    static const double shares[] = {0.0, 0.05, 0.5};
    switch (filter) {
    case FAMILY_ABSOLUTE_MARGIN:
        return chance(random, 4) ? 0.0 : some_gap(random, store, metric);
    case FAMILY_RELATIVE_MARGIN:
        return shares[test_random_below(random, 3)];
    case FAMILY_NOT_NEAR_POSITIVE:
        return chance(random, 4) ? 0.0 : some_distance(random, store, metric);
    default:
        return some_distance(random, store, metric);
    }
}

/* None, one, or as many as come: with many of them little is left to be chosen. */
static void draw_filters(test_random *random, const random_store *store, family_options *options)
{
    const int many = (int)test_random_below(random, 4);
    const int one = (int)test_random_below(random, FAMILY_FILTERS);
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        if (many > 2 ? chance(random, 2) : many > 0 && filter == one) {
            options->filter[filter].given = true;
            options->filter[filter].value = filter_value(random, filter, store, options->metric);
        }
}

static void draw_ranks(test_random *random, const random_store *store, family_options *options)
{
    if (!chance(random, 3))
        return;
    options->rank_from = 1 + test_random_below(random, 1 + store->rows / 4);
    if (!chance(random, 3))
        options->rank_to = options->rank_from + test_random_below(random, 1 + store->rows / 2);
    options->rank_order_after = chance(random, 2);
}

void random_family_create(uint64_t number, random_store *store, random_family *family)
{
    test_random random = {number * UINT64_C(0x9e3779b97f4a7c15) + 5};
    family_options *options = &family->options;
    const int negatives = (int)(number / 4 % NEGATIVES);
    family_options_init(options);
    options->metric = (trm_metric)(number % 4);
    if (negatives == WEIGHTED && !chance(&random, 4))
        make_unit_rows(store);
    draw_margin(&random, store, options);
    draw_positives(&random, (int)(number / (4 * NEGATIVES) % 5), store, family);
    draw_negatives(&random, negatives, store, family);
    options->seed = chance(&random, 4) ? 0 : test_random_next(&random) >> 1;
    options->list_at_most = 200000;
    if (negatives == SEMIHARD)
        draw_semihard(&random, options);
    if (negatives > SEMIHARD && negatives < FIRST_SET) {
        draw_filters(&random, store, options);
        draw_ranks(&random, store, options);
    }
    options->lists = negatives < FIRST_SET && chance(&random, 4);
}

double random_family_radius(test_random *random, const random_store *store, trm_metric metric)
{
    const reference_store view = random_store_view(store);
    double radius = INFINITY;
    for (int64_t tries = test_random_below(random, 8); tries >= 0 && store->rows > 0; tries--) {
        const int64_t i = test_random_below(random, store->rows), j = test_random_below(random, store->rows);
        const double d = reference_distance(&view, metric, i, j);
        radius = i != j && d < radius ? d : radius;
    }
    return radius < INFINITY ? radius : 0.0;
}

/* printf at the end of a text that has used bytes already. */
__attribute__((format(printf, 4, 5))) static void add(char *text, size_t size, size_t *used,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (*used < size) {
        const int more = vsnprintf(text + *used, size - *used, format, arguments);
        *used += more > 0 ? (size_t)more : 0;
    }
    va_end(arguments);
}

void random_family_describe(const random_family *family, char *text, size_t size)
{
    static const char *const metrics[] = {"sql2", "l2", "cosine", "dot"};
    const family_options *options = &family->options;
    size_t used = 0;
    add(text, size, &used, "--metric %s --margin %.17g --positives %s --negatives %s --seed %llu",
        metrics[options->metric], options->margin, options->positives, options->negatives,
        (unsigned long long)options->seed);
    if (strcmp(options->negatives, "semihard") == 0)
        add(text, size, &used, " --window %s --pick %s --fallback %s", options->window, options->pick,
            options->fallback);
    if (options->rank_to < INT64_MAX)
        add(text, size, &used, " --ranks %lld-%lld", (long long)options->rank_from,
            (long long)options->rank_to);
    else if (options->rank_from > 1 || options->rank_order_after)
        add(text, size, &used, " --ranks %lld-", (long long)options->rank_from);
    if (options->rank_order_after)
        add(text, size, &used, " --rank-order after");
    for (int filter = 0; filter < FAMILY_FILTERS; filter++)
        if (options->filter[filter].given)
            add(text, size, &used, " --%s %.17g", random_family_filters[filter],
                options->filter[filter].value);
    if (options->lone)
        add(text, size, &used, " --lone");
    if (options->lists)
        add(text, size, &used, " --form lists");
}
