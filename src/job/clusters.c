/* Synthetic rows; see clusters.h. Streams of the generator: a class's centre is 2 c + 1, a row's noise 2 i. */
#include "job/clusters.h"

#include "base/alloc.h"
#include "base/random.h"

#include <math.h>

static void normalise(double *values, int count)
{
    double norm2 = 0.0;
    for (int k = 0; k < count; k++)
        norm2 += values[k] * values[k];
    for (int k = 0; k < count; k++)
        values[k] /= norm2 > 0.0 ? sqrt(norm2) : 1.0;
}

trm_status trm_clusters_begin(trm_clusters *clusters, trm_error *err)
{
    clusters->scratch = trm_alloc(2 * (int64_t)clusters->dim, sizeof *clusters->scratch);
    return clusters->scratch == NULL ? trm_fail_memory(err, "synthetic rows", 2 * (int64_t)clusters->dim, 8)
                                     : TRM_OK;
}

void trm_clusters_fill(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels)
{
    const trm_clusters *clusters = context;
    const int dim = clusters->dim;
    double *row = clusters->scratch, *noise = clusters->scratch + dim;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits[4];
        const uint64_t id = (uint64_t)(first + i);
        trm_random_bits(clusters->seed, 2 * id, UINT64_MAX, bits);
        labels[i] = (int64_t)(((uint64_t)bits[0] << 32 | bits[1]) % (uint64_t)clusters->classes);
        if (embeddings == NULL)
            continue;
        trm_random_normals(clusters->seed, 2 * (uint64_t)labels[i] + 1, dim, row);
        normalise(row, dim);
        trm_random_normals(clusters->seed, 2 * id, dim, noise);
        for (int k = 0; k < dim; k++)
            row[k] += clusters->spread * noise[k] / sqrt((double)dim);
        normalise(row, dim);
        for (int k = 0; k < dim; k++)
            embeddings[i * dim + k] = (float)row[k];
    }
}
