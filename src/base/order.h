/* The order of float64 values as that of whole numbers, and of numbers for qsort. */
#ifndef TRM_BASE_ORDER_H
#define TRM_BASE_ORDER_H

#include <stdint.h>
#include <string.h>

/* Ascends with the value, and is one for 0 and -0. Not for NaN. */
static inline uint64_t trm_order_of(double value)
{
    uint64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

/* The value with that order. */
static inline double trm_value_of(uint64_t order)
{
    const uint64_t bits = order >> 63 != 0 ? order & ~(UINT64_C(1) << 63) : ~order;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* For qsort: ascending int64_t; ascending double without NaN. */
static inline int trm_compare_whole(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static inline int trm_compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

#endif
