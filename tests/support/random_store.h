/* Small random stores that are full of what goes wrong: exact ties, duplicates, singletons, lopsided classes,
 * near duplicates, wide norms, offsets of all sizes, denormals, labels that no float64 can hold. One seed,
 * one store, everywhere. */
#ifndef TESTS_SUPPORT_RANDOM_STORE_H
#define TESTS_SUPPORT_RANDOM_STORE_H

#include "support/reference.h"

#include <stdbool.h>
#include <stdint.h>

/* splitmix64 (Steele, Lea and Flood 2014). */
typedef struct test_random {
    uint64_t state;
} test_random;

uint64_t test_random_next(test_random *random);
/* Uniform in [0, bound). */
int64_t test_random_below(test_random *random, int64_t bound);
/* Uniform in [-1, 1), a multiple of 2^-23. */
float test_random_unit(test_random *random);
/* The name of one of the kernels that there are. */
const char *test_random_kernel(test_random *random);

typedef struct random_store {
    int64_t rows;
    int dim;
    float *embeddings;                     /* rows x dim, no row is zero; owned */
    int64_t *labels;                       /* owned */
    int64_t ignore_count, ignore_label[3]; /* may name one label twice */
    const char *flavour;                   /* for messages */
    bool denormal;                         /* a gradient that is divided by norms would be beyond float32 */
} random_store;

/* Stops the program when out of memory. */
void random_store_create(uint64_t seed, random_store *store);
void random_store_destroy(random_store *store);

/* As the references take it; borrowed. */
reference_store random_store_view(const random_store *store);

#endif
