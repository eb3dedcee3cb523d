/* An order-independent hash of a set of records: the sum of their XXH3-128 values modulo 2^128. */
#ifndef TRM_BASE_HASH_SUM_H
#define TRM_BASE_HASH_SUM_H

#include <stddef.h>
#include <stdint.h>

/* Four 32-bit digits with room for 2^32 carries, so that digits of different ranks may simply be added. */
typedef struct trm_hash_sum {
    uint64_t digit[4];
} trm_hash_sum;

#define TRM_HASH_SUM_INIT                                                                                    \
    {                                                                                                        \
        {                                                                                                    \
            0, 0, 0, 0                                                                                       \
        }                                                                                                    \
    }

void trm_hash_sum_add(trm_hash_sum *sum, const void *bytes, size_t count);
/* The same for a record in two parts: a number and bytes. */
void trm_hash_sum_add_keyed(trm_hash_sum *sum, int64_t key, const void *bytes, size_t count);
void trm_hash_sum_merge(trm_hash_sum *sum, const trm_hash_sum *other);
/* 32 hex digits and a NUL. */
void trm_hash_sum_text(const trm_hash_sum *sum, char text[33]);

#endif
