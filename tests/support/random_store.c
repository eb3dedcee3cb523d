/* Random stores: a flavour of coordinates crossed with a flavour of classes and one of label values. */
#include "support/random_store.h"

#include "kernel/kernel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint64_t test_random_next(test_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int64_t test_random_below(test_random *random, int64_t bound)
{
    return (int64_t)((test_random_next(random) >> 1) % (uint64_t)bound);
}

float test_random_unit(test_random *random)
{
    return (float)(test_random_below(random, 1 << 24) - (1 << 23)) * 0x1p-23F;
}

const char *test_random_kernel(test_random *random)
{
    int count = 0;
    while (trm_kernel_at(count) != NULL)
        count++;
    return trm_kernel_at((int)test_random_below(random, count))->name;
}

enum {
    INTEGERS,
    DUPLICATES,
    NEAR_DUPLICATES,
    CLUSTERS,
    WIDE,
    OFFSET,
    TIGHT,
    COLUMN,
    UNIFORM,
    HUGE_VALUES,
    DENORMAL,
    COORDINATES
};
static const char *const coordinate_names[COORDINATES] = {
    "small integers", "duplicates",   "near duplicates", "far clusters", "wide norms", "common offset",
    "tight offset",   "large column", "uniform",         "huge",         "denormal"};

static float coordinate(test_random *random, int flavour, float scale, float centre)
{
    switch (flavour) {
    case INTEGERS:
    case DUPLICATES:
        return (float)(test_random_below(random, 5) - 2);
    case CLUSTERS:
        return centre + test_random_unit(random);
    case WIDE:
        return scale * test_random_unit(random);
    case OFFSET:
        return 1000.0F + (float)test_random_below(random, 4);
    case TIGHT:
        return 4096.0F + 0x1p-10F * (float)test_random_below(random, 3);
    case DENORMAL:
        return 0x1p-149F * (float)(test_random_below(random, 9) - 4);
    case HUGE_VALUES:
        return 0x1p70F * test_random_unit(random);
    default:
        return test_random_unit(random);
    }
}

/* A copy of an earlier row; flavour NEAR_DUPLICATES: some of its elements one step off. */
static void copy_row(test_random *random, int flavour, const random_store *store, int64_t row)
{
    float *x = store->embeddings + row * store->dim;
    memcpy(x, store->embeddings + test_random_below(random, row) * store->dim,
           (size_t)store->dim * sizeof *x);
    for (int j = 0; j < store->dim && flavour == NEAR_DUPLICATES; j++)
        if (test_random_below(random, 3) == 0)
            x[j] = nextafterf(x[j], test_random_below(random, 2) ? INFINITY : -INFINITY);
}

static void fill_rows(test_random *random, int flavour, random_store *store)
{
    /* flavour COLUMN: what stands in the first column, beside others of about 1; of any size, so that pairs
     * are on both sides of where differences take over */
    const float column = ldexpf(1.0F, (int)test_random_below(random, 34));
    for (int64_t i = 0; i < store->rows; i++) {
        float *x = store->embeddings + i * store->dim;
        float scale = ldexpf(1.0F, (int)test_random_below(random, 41) - 20);
        float centre = (float)(test_random_below(random, 4) - 2) * 10000.0F;
        if ((flavour == DUPLICATES || flavour == NEAR_DUPLICATES) && i > 0 &&
            test_random_below(random, 3) > 0) {
            copy_row(random, flavour, store, i);
            continue;
        }
        bool zero = true;
        for (int j = 0; j < store->dim; j++) {
            x[j] = coordinate(random, flavour, scale, centre);
            zero = zero && !(fabsf(x[j]) > 0.0F);
        }
        if (zero)
            x[0] = flavour == DENORMAL ? 0x1p-149F : 1.0F;
        if (flavour == COLUMN)
            x[0] = column;
    }
}

/* The class of each row, numbered from 0. */
static int64_t class_of(test_random *random, int flavour, int64_t row, int64_t rows)
{
    switch (flavour) {
    case 0: /* one class */
        return 0;
    case 1: /* every row its own */
        return row;
    case 2: /* a giant and a few others */
        return test_random_below(random, 4) > 0 ? 0 : 1 + test_random_below(random, 3);
    case 3: /* many singletons */
        return test_random_below(random, rows);
    case 4: /* in contiguous runs */
        return row / 7;
    case 5: /* two classes */
        return test_random_below(random, 2);
    default: /* a handful */
        return test_random_below(random, 2 + rows / 6);
    }
}

static int64_t label_of(int flavour, int64_t class)
{
    switch (flavour) {
    case 0:
        return -class;
    case 1:
        return (INT64_C(1) << 53) + class;
    case 2:
        return INT64_MIN + class;
    case 3:
        return INT64_MAX - class;
    case 4: /* order unlike the classes' own, both signs */
        return (class % 2 ? -1 : 1) * (class * 7919 % 1009 * 1000 + class);
    default:
        return class;
    }
}

void random_store_create(uint64_t seed, random_store *store)
{
    test_random random = {seed * UINT64_C(0x2545f4914f6cdd1d) + 1};
    static const int64_t most[] = {5, 20, 40, 70, 120, 120, 120, 330};
    *store = (random_store){0};
    store->rows = 1 + test_random_below(&random, most[test_random_below(&random, 8)]);
    store->dim = 1 + (int)test_random_below(&random, test_random_below(&random, 3) == 0 ? 3 : 40);
    store->embeddings = calloc((size_t)(store->rows * store->dim), sizeof *store->embeddings);
    store->labels = calloc((size_t)store->rows, sizeof *store->labels);
    if (!store->embeddings || !store->labels)
        abort();
    int coordinates = (int)test_random_below(&random, COORDINATES);
    int classes = (int)test_random_below(&random, 20);
    int labels = (int)test_random_below(&random, 8);
    store->flavour = coordinate_names[coordinates];
    store->denormal = coordinates == DENORMAL;
    fill_rows(&random, coordinates, store);
    for (int64_t i = 0; i < store->rows; i++)
        store->labels[i] = label_of(labels, class_of(&random, classes, i, store->rows));
    const int64_t first = store->labels[test_random_below(&random, store->rows)];
    if (test_random_below(&random, 4) == 0)
        store->ignore_count = 1 + test_random_below(&random, 3);
    store->ignore_label[0] = first;
    for (int i = 1; i < 3; i++)
        store->ignore_label[i] = store->labels[test_random_below(&random, store->rows)];
}

void random_store_destroy(random_store *store)
{
    free(store->embeddings);
    free(store->labels);
    *store = (random_store){0};
}

reference_store random_store_view(const random_store *store)
{
    return (reference_store){
        store->rows,         store->dim, store->embeddings, store->labels, store->ignore_label,
        store->ignore_count, 0.0};
}
