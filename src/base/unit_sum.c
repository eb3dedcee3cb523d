/* Sums of values in [0, 1]; see unit_sum.h. */
#include "base/unit_sum.h"

#include <math.h>

enum { SCALE = 150, MANTISSA = 53, WORD = 64, DIGIT = 32 };

void trm_unit_sum_merge(trm_unit_sum *sum, const trm_unit_sum *other)
{
    uint64_t carry = 0;
    for (int i = 0; i < TRM_UNIT_SUM_WORDS; i++) {
        const uint64_t added = sum->word[i] + carry;
        carry = added < carry;
        sum->word[i] = added + other->word[i];
        carry += sum->word[i] < added;
    }
}

void trm_unit_sum_add(trm_unit_sum *sum, double value)
{
    int exponent;
    const double fraction =
        frexp(value, &exponent); /* value = fraction 2^exponent, fraction in [1/2, 1), or 0 */
    const uint64_t mantissa = (uint64_t)ldexp(fraction, MANTISSA);
    if (mantissa == 0)
        return;
    const int shift = exponent - MANTISSA + SCALE, at = shift / WORD, by = shift % WORD;
    trm_unit_sum one = {{0}};
    one.word[at] = mantissa << by;
    if (by > 0 && at + 1 < TRM_UNIT_SUM_WORDS)
        one.word[at + 1] = mantissa >> (WORD - by);
    trm_unit_sum_merge(sum, &one);
}

void trm_unit_sum_fold(const trm_unit_sum *sum, trm_exact_sum *into)
{
    for (int i = 0; i < TRM_UNIT_SUM_WORDS; i++) {
        const uint64_t low = sum->word[i] & UINT32_MAX, high = sum->word[i] >> DIGIT;
        trm_exact_sum_add(into, ldexp((double)low, i * WORD - SCALE));
        trm_exact_sum_add(into, ldexp((double)high, i * WORD + DIGIT - SCALE));
    }
}

double trm_unit_sum_value(const trm_unit_sum *sum)
{
    trm_exact_sum wide;
    trm_exact_sum_clear(&wide);
    trm_unit_sum_fold(sum, &wide);
    return trm_exact_sum_value(&wide);
}
