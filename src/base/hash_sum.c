/* Sums of XXH3-128; see hash_sum.h. */
#include "base/hash_sum.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

static void carry(trm_hash_sum *sum)
{
    for (int i = 0; i < 4; i++) {
        if (i < 3)
            sum->digit[i + 1] += sum->digit[i] >> 32;
        sum->digit[i] &= UINT64_C(0xffffffff);
    }
}

static void add_hash(trm_hash_sum *sum, XXH128_hash_t hash)
{
    sum->digit[0] += hash.low64 & UINT64_C(0xffffffff);
    sum->digit[1] += hash.low64 >> 32;
    sum->digit[2] += hash.high64 & UINT64_C(0xffffffff);
    sum->digit[3] += hash.high64 >> 32;
    carry(sum);
}

void trm_hash_sum_add(trm_hash_sum *sum, const void *bytes, size_t count)
{
    add_hash(sum, XXH3_128bits(bytes, count));
}

void trm_hash_sum_add_keyed(trm_hash_sum *sum, int64_t key, const void *bytes, size_t count)
{
    add_hash(sum, XXH3_128bits_withSeed(bytes, count, (XXH64_hash_t)key));
}

void trm_hash_sum_merge(trm_hash_sum *sum, const trm_hash_sum *other)
{
    for (int i = 0; i < 4; i++)
        sum->digit[i] += other->digit[i];
    carry(sum);
}

void trm_hash_sum_text(const trm_hash_sum *sum, char text[33])
{
    trm_hash_sum normal = *sum;
    carry(&normal);
    snprintf(text, 33, "%08" PRIx64 "%08" PRIx64 "%08" PRIx64 "%08" PRIx64, normal.digit[3], normal.digit[2],
             normal.digit[1], normal.digit[0]);
}
