/* A sample of the pairs of two sides, on which chains of filters are timed: stretches of rows of each side, and the small tiles
 * between them. Rows are arranged by label, and how many pairs survive depends on both labels most; so a stretch is of pieces from
 * all over the region, as short as the runs in which survivors come. Where a sweep has a use for pairs of one label alone, a stretch
 * is of one label. A sample stays while its region is worked on, so that its rows are packed once for each chain. Inner to sweep/. */
#ifndef TRM_SWEEP_SAMPLE_H
#define TRM_SWEEP_SAMPLE_H

#include "sweep/side.h"

/* A kernel, and where it looks at some coordinates first, how many. */
typedef struct trm_chain {
    const trm_kernel *kernel;
    int width; /* of a kernel with a basis; else 0 */
} trm_chain;

typedef struct trm_sample trm_sample;

/* Small tiles of a sample, each a piece of work for one thread; its rows; how often each tile is timed, of which the shortest counts;
 * and the pairs that timing a chain goes through. */
enum {
    TRM_SAMPLE_STRETCHES = 4,
    TRM_SAMPLE_LENGTH = 48,
    TRM_SAMPLE_TILES = TRM_SAMPLE_STRETCHES * TRM_SAMPLE_STRETCHES,
    TRM_SAMPLE_ROWS = 2 * TRM_SAMPLE_STRETCHES * TRM_SAMPLE_LENGTH, /* of both sides */
    TRM_SAMPLE_ROUNDS = 2,
    TRM_SAMPLE_PAIRS = TRM_SAMPLE_ROUNDS * TRM_SAMPLE_TILES * TRM_SAMPLE_LENGTH * TRM_SAMPLE_LENGTH
};

/* NULL where the region has no room for one. threads: how many it may use. Errors: MEMORY. Owned by the caller. */
trm_status trm_sample_create(const trm_tiles *tiles, int threads, trm_sample **sample,
                             trm_error *err) TRM_MUST_CHECK;
void trm_sample_destroy(trm_sample **sample);

/* Bytes of a sample with its mapped rows, and more for each chain of a kernel. */
int64_t trm_sample_bytes(int dim, int threads);
int64_t trm_sample_chain_bytes(const trm_kernel *kernel, int dim);

/* What the windows of rows that keep the nearest few will be like. */
typedef struct trm_ahead {
    double seen;    /* the part of the sweep that is done */
    double each;    /* rows that each row meets in all of it */
    double spacing; /* by how much the nearest are apart (sample.c); 0: not known yet */
} trm_ahead;

/* Takes the windows of its rows as they will be in the mean of what is left of the sweep. That can be told of a row that keeps the
 * nearest few, by what it has seen and by what the sample itself says: a window that is still open lets everything through, in any
 * chain, but won't for long. Other windows are taken as they are now. Notes the spacing where windows are open. plain: a chain of
 * one stage. Errors: MEMORY. */
trm_status trm_sample_look(trm_sample *sample, trm_ahead *ahead, int place, const trm_chain *plain,
                           trm_error *err) TRM_MUST_CHECK;

/* A chain is out of the question, and no more of its tiles have to be timed, if what a pair takes in the first of them is more than so
 * many times the least of a chain, or if these alone take more than the least for every pair of the sample. Nanoseconds. */
typedef struct trm_enough {
    double times, least;
} trm_enough;

/* What a pair takes with a chain, with the float64 distances that are left, and what packing a row takes: nanoseconds of a
 * thread. place: of the chain, 0 to TRM_CHAINS - 1. Errors: MEMORY. */
trm_status trm_sample_time(trm_sample *sample, int place, const trm_chain *chain, trm_enough enough,
                           double *ns, double *pack_ns, trm_error *err) TRM_MUST_CHECK;

/* The seconds of all looks and trials that went into packing its rows; NULL: none. */
double trm_sample_packing_s(const trm_sample *sample);

#endif
