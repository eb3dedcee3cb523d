/* Random queries and stores, with lists of pairs: of one random store cut in two, so that both sets have its ties and
 * copies, and more copies between them. Sizes of 0 and 1, few against many, both ways. One number, one case, everywhere. */
#ifndef TESTS_SUPPORT_RANDOM_SETS_H
#define TESTS_SUPPORT_RANDOM_SETS_H

#include "support/random_family.h"
#include "support/random_store.h"
#include "support/reference_family.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct random_sets {
    random_store whole;          /* the queries, then the store */
    random_store queries, store; /* parts of it, borrowed */
    bool listed, and_labels;     /* as family_sets has them */
    bool labelled;               /* always, but for lists that need none */
    family_pair *pair;           /* owned */
    int64_t pairs;
    random_family family; /* what is mined; bounds are distances that occur */
} random_sets;

/* Stops the program when out of memory. */
void random_sets_create(uint64_t number, random_sets *sets);
void random_sets_destroy(random_sets *sets);

/* As the reference takes it: borrowed, queries and store are filled in. */
family_sets random_sets_view(const random_sets *sets, reference_store *queries, reference_store *store);

/* The case as options and sizes; cut off at size. */
void random_sets_describe(const random_sets *sets, char *text, size_t size);

#endif
