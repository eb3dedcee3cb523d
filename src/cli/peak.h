/* What this machine's BLAS can do: single-threaded calls of sgemm on all threads of all ranks at once. */
#ifndef TRM_CLI_PEAK_H
#define TRM_CLI_PEAK_H

#include "rows/counter.h"
#include "trimine/run.h"

/* Calls of one shape: rows x rows x depth. */
typedef struct trm_peak {
    MPI_Comm comm;
    int threads, rows, depth;
    float *operands; /* of all threads; owned */
} trm_peak;

/* Of all ranks together: flops a nanosecond; and flops a cycle of a core, 0 where cycles are not told. */
typedef struct trm_rate {
    double gflops, a_cycle;
} trm_rate;

/* Makes the operands. Collective. Errors: MEMORY. */
trm_status trm_peak_create(MPI_Comm comm, int threads, int rows, int depth, trm_peak *peak,
                           trm_error *err) TRM_MUST_CHECK;
/* Multiplies for some tenths of a second. counter: of the run's threads; NULL: none, on all ranks. Collective. */
trm_rate trm_peak_measure(const trm_peak *peak, const trm_counter *counter);
void trm_peak_free(trm_peak *peak);

#endif
