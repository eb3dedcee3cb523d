/* Selection sampling, Knuth TAOCP 3.4.2, S; see sample.h. */
#include "verify/sample.h"

#include "base/alloc.h"
#include "base/random.h"

int64_t *trm_sample_rows(int64_t all, int64_t most, uint64_t seed, uint64_t stream, int64_t *count)
{
    most = most < all ? most : all;
    int64_t *row = trm_alloc(most, sizeof *row);
    *count = 0;
    for (int64_t i = 0; i < all && *count < most && row != NULL; i++)
        if (trm_random_uniform(seed, stream, (uint64_t)i) * (double)(all - i) <= (double)(most - *count))
            row[(*count)++] = i;
    return row;
}
