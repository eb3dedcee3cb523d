/* Synthetic rows: clustered unit vectors. Row = (centre of its class + spread * noise), normalised. A row depends on
 * (seed, row id) alone. */
#ifndef TRM_JOB_CLUSTERS_H
#define TRM_JOB_CLUSTERS_H

#include "base/error.h"

#include <stdint.h>

typedef struct trm_clusters {
    int64_t rows, classes;
    int dim;
    uint64_t seed;
    double spread;   /* length of the noise relative to the centre's */
    double *scratch; /* 2 * dim; owned, freed by trm_free */
} trm_clusters;

/* Makes scratch; the others are set. Errors: MEMORY. */
trm_status trm_clusters_begin(trm_clusters *clusters, trm_error *err) TRM_MUST_CHECK;
/* A trm_row_fn. embeddings: NULL where only labels are wanted. */
void trm_clusters_fill(void *context, int64_t first, int64_t count, float *embeddings, int64_t *labels);

#endif
