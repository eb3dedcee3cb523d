/* The mining rules by brute force: every rule as its text says it, one pair after the other, in float64.
 *
 * Shares no code with the library, so that a mistake in one shows in the other. Quadratic to cubic: small
 * stores only. */
#ifndef TESTS_SUPPORT_REFERENCE_H
#define TESTS_SUPPORT_REFERENCE_H

#include "trimine/mine.h"

#include <stdbool.h>
#include <stdint.h>

/* Borrowed rows: embeddings rows x dim, float32, row-major; ignore_label: ignore_count labels that take no
 * part, or NULL. */
typedef struct reference_store {
    int64_t rows;
    int dim;
    const float *embeddings;
    const int64_t *labels;
    const int64_t *ignore_label;
    int64_t ignore_count;
    double norm_floor; /* cosine: squared norms are at least this; 0: as they are */
} reference_store;

bool reference_takes_part(const reference_store *store, int64_t row);

typedef struct reference_result {
    trm_triplet *triplets; /* sorted by (anchor, positive, negative); owned */
    int64_t count;
    trm_mine_summary summary; /* anchors, classes, positive_pairs and triplets only; the rest is 0 */
    double loss_sum;          /* of the hinge */
    int64_t loss_active;
} reference_result;

/* d(i,j). */
double reference_distance(const reference_store *store, trm_metric metric, int64_t i, int64_t j);
/* The same of two sets: i is a row of one, j of the other. */
double reference_distance_between(const reference_store *one, int64_t i, const reference_store *other,
                                  int64_t j, trm_metric metric);

/* Mines by brute force; stops the program when out of memory. The caller owns *result. */
void reference_mine(const reference_store *store, const trm_mine_options *options, reference_result *result);
void reference_destroy(reference_result *result);

/* The exact sum of count finite values, rounded once to nearest even (Shewchuk's non-overlapping partial
 * sums); no intermediate sum may overflow. */
double reference_sum(const double *values, int64_t count);

/* For qsort: ascending (anchor, positive, negative). */
int reference_compare_triplets(const void *a, const void *b);

#endif
