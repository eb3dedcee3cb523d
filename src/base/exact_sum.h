/* An exact sum of float64 values: a fixed-point number wide enough for all of them.
 *
 * The whole float64 range from 2^-1074 to 2^1024 is laid out as digits of 32 bits in signed 64-bit limbs
 * (Kulisch's long accumulator). Adding is integer addition and so associative: any order, any threads and any
 * ranks (MPI_SUM over the limbs) give the same number, which is rounded once, to nearest even. */
#ifndef TRM_BASE_EXACT_SUM_H
#define TRM_BASE_EXACT_SUM_H

#include <stdint.h>

/* 66 digits hold every finite double; two more hold carries of up to 2^64 of them. */
enum { TRM_EXACT_SUM_LIMBS = 68 };

typedef struct trm_exact_sum {
    int64_t limb[TRM_EXACT_SUM_LIMBS];
    int64_t pending; /* additions since carries were last moved on */
} trm_exact_sum;

void trm_exact_sum_clear(trm_exact_sum *sum);
/* value must be finite. */
void trm_exact_sum_add(trm_exact_sum *sum, double value);
/* Adds times * value, exactly. value must be finite, times >= 0. */
void trm_exact_sum_add_times(trm_exact_sum *sum, double value, int64_t times);
void trm_exact_sum_merge(trm_exact_sum *sum, const trm_exact_sum *other);
/* Moves carries on: every limb but the last is then in [0, 2^32), so limbs of 2^31 sums may be added. */
void trm_exact_sum_carry(trm_exact_sum *sum);
/* The sum, rounded to nearest even; +-infinity beyond the range. */
double trm_exact_sum_value(const trm_exact_sum *sum);

#endif
