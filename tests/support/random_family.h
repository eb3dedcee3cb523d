/* Random options of the mining family: every policy with every metric, filters, ranks and forms among them.
 * Bounds are often values that occur in the store, so that they are met exactly. One number and one store,
 * the same options, everywhere. */
#ifndef TESTS_SUPPORT_RANDOM_FAMILY_H
#define TESTS_SUPPORT_RANDOM_FAMILY_H

#include "support/random_store.h"
#include "support/reference_family.h"

#include <stddef.h>

/* After so many numbers in a row all metrics x negatives x positives were there. */
enum { RANDOM_FAMILIES = 4 * 10 * 5 };

typedef struct random_family {
    family_options options; /* points into this struct, so that a copy of it must not outlive it */
    char positives[32], negatives[64];
} random_family;

/* What the options call the filters, in their order. */
extern const char *const random_family_filters[FAMILY_FILTERS];

/* Draws the options of a number for this store. Rows that are to be drawn by weight are mostly made unit rows
 * first, because others are too far apart to be drawn at all. */
void random_family_create(uint64_t number, random_store *store, random_family *family);

/* A distance of the store, rather a small one, or 0. */
double random_family_radius(test_random *random, const random_store *store, trm_metric metric);

/* Writes the options as the program takes them, numbers in full; cut off at size. */
void random_family_describe(const random_family *family, char *text, size_t size);

#endif
