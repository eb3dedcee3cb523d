/* An exact sum of values in [0, 1], such as shares, in three words: for tables with a sum in every place.
 *
 * Values are whole multiples of 2^-150 (all float64 values from 2^-98 on are, and 0), of which up to 2^41 may be added. The
 * wide sum that takes any value is exact_sum.h; there this one is rounded. */
#ifndef TRM_BASE_UNIT_SUM_H
#define TRM_BASE_UNIT_SUM_H

#include "base/exact_sum.h"

enum { TRM_UNIT_SUM_WORDS = 3 };

/* Set to zeros before use. */
typedef struct trm_unit_sum {
    uint64_t word[TRM_UNIT_SUM_WORDS]; /* the lowest first; bit 0 of it is worth 2^-150 */
} trm_unit_sum;

/* 0, or 2^-98 <= value <= 1. */
void trm_unit_sum_add(trm_unit_sum *sum, double value);
void trm_unit_sum_merge(trm_unit_sum *sum, const trm_unit_sum *other);
/* Adds all of it to a wide sum. */
void trm_unit_sum_fold(const trm_unit_sum *sum, trm_exact_sum *into);
/* The sum, rounded to nearest even. */
double trm_unit_sum_value(const trm_unit_sum *sum);

#endif
