/* A probe of this machine: samples of a job's own rows are mined with each kernel that the job could choose, and timed. */
#ifndef TRM_JOB_PROBE_H
#define TRM_JOB_PROBE_H

#include "job/forecast.h"
#include "job/inner.h"

enum { TRM_PROBE_SIZES = 3, TRM_PROBE_KERNELS = 8 };

/* One kernel's samples, by ascending rows. */
typedef struct trm_probe_kernel {
    const char *name;
    int count;
    trm_sweep_point positives[TRM_PROBE_SIZES], negatives[TRM_PROBE_SIZES];
    double prepare_s[TRM_PROBE_SIZES];
} trm_probe_kernel;

typedef struct trm_probe {
    double seconds;   /* that it took */
    int threads;      /* that it ran on: a rank's, or as many as there are cores */
    int64_t rows, of; /* of the largest sample; of all */
    int kernels;      /* the first is what a run begins with */
    trm_probe_kernel kernel[TRM_PROBE_KERNELS];
    trm_probe_kernel choice; /* where the last sample is all rows: of a run that chooses; else none */
    double read_bytes_s;     /* of a rank that reads; 0: nothing was read */
    double arrange_a_row_s, answers_a_pair_s;
    double pilot_a_distance_s; /* of one row's distance to another in float64, all threads */
} trm_probe;

/* The rows of the job have been laid out on this process alone; store or synthetic rows are read. Not collective but on the job's
 * communicator of one. Errors: MEMORY, those of reading and mining. */
trm_status trm_job_probe(trm_job *job, trm_probe *probe, trm_error *err) TRM_MUST_CHECK;

#endif
