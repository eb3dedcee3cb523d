/* Philox through Random123, and normals by Box-Muller on it. */
#include "base/random.h"

#include <math.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#include <Random123/philox.h>
#pragma GCC diagnostic pop

void trm_random_bits(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bits[4])
{
    philox4x32_ctr_t counter = {
        {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    philox4x32_ctr_t out = philox4x32(counter, key);
    for (int i = 0; i < 4; i++)
        bits[i] = out.v[i];
}

double trm_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t bits[4];
    trm_random_bits(seed, stream, index, bits);
    return ((double)(((uint64_t)bits[0] << 32 | bits[1]) >> 11) + 0.5) * 0x1p-53;
}

void trm_random_normals(uint64_t seed, uint64_t stream, int count, double *values)
{
    for (int i = 0; i < count; i += 4) {
        uint32_t bits[4];
        trm_random_bits(seed, stream, (uint64_t)i, bits);
        for (int k = 0; k < 4; k += 2) {
            double radius = sqrt(-2.0 * log(((double)bits[k] + 0.5) * 0x1p-32));
            double angle = 6.283185307179586 * ((double)bits[k + 1] * 0x1p-32);
            if (i + k < count)
                values[i + k] = radius * cos(angle);
            if (i + k + 1 < count)
                values[i + k + 1] = radius * sin(angle);
        }
    }
}
