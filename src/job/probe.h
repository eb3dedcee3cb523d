/* A probe of this machine: samples of a job's own rows are mined with each kernel that the job could choose, and timed. */
#ifndef TRM_JOB_PROBE_H
#define TRM_JOB_PROBE_H

#include "job/forecast.h"
#include "job/inner.h"

enum { TRM_PROBE_SIZES = 3, TRM_PROBE_KERNELS = 8 };

/* One kernel's samples, by ascending rows. */
typedef struct trm_probe_kernel {
    const char *name;
    const trm_kernel *taken; /* by most pairs of the last sample, and its width; or NULL */
    int taken_width;
    int count;
    trm_sweep_point positives[TRM_PROBE_SIZES], negatives[TRM_PROBE_SIZES];
    double prepare_s[TRM_PROBE_SIZES];
} trm_probe_kernel;

/* What follows a sample's sweeps. */
typedef struct trm_probe_rest {
    double rows, pairs; /* of both sets; of an anchor and a positive */
    double answers_s, loss_s, gradient_s;
} trm_probe_rest;

typedef struct trm_probe {
    double seconds;   /* that it took */
    int threads;      /* that it ran on: a rank's, or as many as there are cores */
    int64_t rows, of; /* of the largest sample; of all */
    int kernels;      /* the first is what a run begins with */
    trm_probe_kernel kernel[TRM_PROBE_KERNELS];
    trm_probe_kernel choice; /* where the last sample is all rows: of a run that chooses; else none */
    double read_bytes_s;     /* of a rank that reads; 0: nothing was read */
    double arrange_a_row_s;
    double basis_s;      /* that a run which chooses makes, whatever it takes then; 0: it makes none */
    bool basis_promises; /* a look at some rows: where it does not, a run that is short makes none */
    trm_probe_rest rest[TRM_PROBE_SIZES]; /* of the first kernel's samples */
    bool counts_pairs;                    /* within a radius: */
    double pairs_within[TRM_PROBE_SIZES]; /* those of the first kernel's samples */
    double set_size
        [TRM_PROBE_SIZES]; /* of negatives that are a set: its triplets in the first kernel's samples */
    bool looks_at_gaps; /* the last sample found few negatives: so will the job, which looks where they are */
    double pilot_a_distance_s; /* of one row's distance to another in float64, all threads */
} trm_probe;

/* Notes the kernel that most pairs went through, of TRM_CHAINS. */
void trm_probe_note_taken(const trm_chain_use *chains, trm_probe_kernel *kernel);
/* Kernels that take up to so many times what the fastest does are about as fast: any of them may turn out to be that. */
#define TRM_PROBE_ABOUT 1.3
/* Notes that of those about as fast as the one that most went through which packs a row into most bytes. */
void trm_probe_note_largest(const trm_chain_use *chains, int dim, trm_probe_kernel *kernel);
/* How many pairs are within the radius of all rows, where the samples were asked. */
int64_t trm_probe_pairs_within(const trm_probe *probe);
/* How many triplets a set has of all rows. */
int64_t trm_probe_set_size(const trm_probe *probe);
/* The rows of the job have been laid out on this process alone; store or synthetic rows are read. Not collective but on the job's
 * communicator of one. Errors: MEMORY, those of reading and mining. */
trm_status trm_job_probe(trm_job *job, trm_probe *probe, trm_error *err) TRM_MUST_CHECK;

#endif
