/* The long accumulator; bit 0 of limb 0 is worth 2^-1074. */
#include "base/exact_sum.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static const int64_t carry_every = INT64_C(1) << 29; /* each addition moves a limb by less than 2^32 */
static const int64_t digit_mask = INT64_C(0xffffffff);

void trm_exact_sum_clear(trm_exact_sum *sum)
{
    memset(sum, 0, sizeof *sum);
}

void trm_exact_sum_carry(trm_exact_sum *sum)
{
    int64_t carry = 0;
    for (int i = 0; i < TRM_EXACT_SUM_LIMBS - 1; i++) {
        int64_t value = sum->limb[i] + carry;
        sum->limb[i] = value & digit_mask;
        carry = (value - sum->limb[i]) / (digit_mask + 1);
    }
    sum->limb[TRM_EXACT_SUM_LIMBS - 1] += carry;
    sum->pending = 0;
}

void trm_exact_sum_add(trm_exact_sum *sum, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent > 0)
        mantissa |= UINT64_C(1) << 52;
    int shift = exponent > 0 ? exponent - 1 : 0; /* value = mantissa * 2^(shift - 1074) */
    int limb = shift / 32, offset = shift % 32;
    uint64_t low = (mantissa & (uint64_t)digit_mask) << offset; /* digits at limb and limb + 1 */
    uint64_t high = mantissa >> 32 << offset;                   /* digits at limb + 1 and limb + 2 */
    int64_t digit[3] = {(int64_t)(low & (uint64_t)digit_mask),
                        (int64_t)((low >> 32) + (high & (uint64_t)digit_mask)), (int64_t)(high >> 32)};
    int64_t sign = bits >> 63 ? -1 : 1;
    for (int i = 0; i < 3; i++)
        sum->limb[limb + i] += sign * digit[i];
    if (++sum->pending >= carry_every)
        trm_exact_sum_carry(sum);
}

__extension__ typedef unsigned __int128 wide;

/* sign * product * 2^(shift - 1074), product < 2^96: it is moved by up to 31. */
static void add_product(trm_exact_sum *sum, int64_t sign, wide product, int shift)
{
    product <<= shift % 32;
    for (int i = shift / 32; product != 0; i++, product >>= 32)
        sum->limb[i] += sign * (int64_t)(product & (uint64_t)digit_mask);
    if (++sum->pending >= carry_every)
        trm_exact_sum_carry(sum);
}

void trm_exact_sum_add_times(trm_exact_sum *sum, double value, int64_t times)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff), shift = exponent > 0 ? exponent - 1 : 0;
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    const uint64_t mantissa = exponent > 0 ? fraction | UINT64_C(1) << 52 : fraction;
    const int64_t sign = bits >> 63 ? -1 : 1;
    add_product(sum, sign, (wide)mantissa * ((uint64_t)times & (uint64_t)digit_mask), shift);
    if (times >> 32 != 0)
        add_product(sum, sign, (wide)mantissa * ((uint64_t)times >> 32), shift + 32);
}

void trm_exact_bins_fold(trm_exact_bins *bins, trm_exact_sum *sum)
{
    for (int exponent = 0; exponent < TRM_EXACT_BINS; exponent++) {
        const trm_exact_bin value = bins->bin[exponent];
        const int64_t sign = value < 0 ? -1 : 1;
        const wide size = value < 0 ? -(wide)value : (wide)value, low = (wide)1 << 64;
        const int shift = exponent > 0 ? exponent - 1 : 0;
        if (value == 0)
            continue;
        add_product(sum, sign, size % low, shift);
        add_product(sum, sign, size / low, shift + 64);
        bins->bin[exponent] = 0;
    }
}

void trm_exact_sum_merge(trm_exact_sum *sum, const trm_exact_sum *other)
{
    trm_exact_sum normal = *other;
    trm_exact_sum_carry(&normal);
    trm_exact_sum_carry(sum);
    for (int i = 0; i < TRM_EXACT_SUM_LIMBS; i++)
        sum->limb[i] += normal.limb[i];
    trm_exact_sum_carry(sum);
}

static int bit_at(const trm_exact_sum *sum, int place)
{
    return place < 0 ? 0 : (int)(sum->limb[place / 32] >> (place % 32) & 1);
}

double trm_exact_sum_value(const trm_exact_sum *given)
{
    trm_exact_sum sum = *given;
    trm_exact_sum_carry(&sum);
    bool negative = sum.limb[TRM_EXACT_SUM_LIMBS - 1] < 0;
    if (negative) {
        for (int i = 0; i < TRM_EXACT_SUM_LIMBS; i++)
            sum.limb[i] = -sum.limb[i];
        trm_exact_sum_carry(&sum);
    }
    int top = TRM_EXACT_SUM_LIMBS - 1;
    while (top >= 0 && sum.limb[top] == 0)
        top--;
    if (top < 0)
        return 0.0;
    int high_bit = top * 32 + 63 - __builtin_clzll((unsigned long long)sum.limb[top]);
    if (high_bit > 1074 + 1023)
        return negative ? -INFINITY : INFINITY;
    int low_bit =
        high_bit > 52 ? high_bit - 52 : 0; /* the last bit kept; below 53 bits all are (subnormals too) */
    uint64_t mantissa = 0;
    for (int place = high_bit; place >= low_bit; place--)
        mantissa = mantissa << 1 | (uint64_t)bit_at(&sum, place);
    bool half = low_bit > 0 && bit_at(&sum, low_bit - 1);
    bool rest = false;
    for (int place = low_bit - 2; place >= 0 && !rest; place--)
        rest = bit_at(&sum, place);
    if (half && (rest || (mantissa & 1)))
        mantissa++;
    double value = ldexp((double)mantissa, low_bit - 1074);
    return negative ? -value : value;
}
