/* An exact sum of float64 values: a fixed-point number wide enough for all of them.
 *
 * The whole float64 range from 2^-1074 to 2^1024 is laid out as digits of 32 bits in signed 64-bit limbs
 * (Kulisch's long accumulator). Adding is integer addition and so associative: any order, any threads and any
 * ranks (MPI_SUM over the limbs) give the same number, which is rounded once, to nearest even. */
#ifndef TRM_BASE_EXACT_SUM_H
#define TRM_BASE_EXACT_SUM_H

#include <stdint.h>
#include <string.h>

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

/* The same sum on its way: products of a mantissa with a count, one 128-bit sum for every exponent a float64
 * can have. Several times as fast to add to, for inner loops; 2^40 products fit between two foldings. Set to
 * zeros before use. */
enum { TRM_EXACT_BINS = 2048 };

__extension__ typedef __int128 trm_exact_bin;

typedef struct trm_exact_bins {
    trm_exact_bin bin[TRM_EXACT_BINS];
} trm_exact_bins;

/* Adds times * value, exactly. value must be finite, 0 <= times < 2^34. */
static inline void trm_exact_bins_add_times(trm_exact_bins *bins, double value, int64_t times)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint64_t exponent = bits >> 52 & 0x7ff, fraction = bits & ((UINT64_C(1) << 52) - 1);
    const int64_t mantissa = (int64_t)(fraction | (uint64_t)(exponent > 0) << 52);
    const int64_t sign = -(int64_t)(bits >> 63); /* 0 or -1 */
    bins->bin[exponent] += (trm_exact_bin)((mantissa ^ sign) - sign) * times;
}

/* Adds all of it to sum and begins anew. */
void trm_exact_bins_fold(trm_exact_bins *bins, trm_exact_sum *sum);

#endif
