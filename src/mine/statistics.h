/* What the triplets of a job are like: count, mean, standard deviation, extremes, quartiles and histogram of
 * d(a,p), of d(a,n), and of the gap between them, the float64 value of d(a,n) - d(a,p). It knows triplets, and
 * not how they were chosen.
 *
 * Counts, sums, squares and extremes are taken as the triplets come, once each, exactly. So mean and deviation
 * are the same bits for any number of ranks, threads and panels:
 *   mean = S / n, S the exact sum rounded once;
 *   std  = sqrt(n Q - S S) / n, where n Q - S S is formed exactly from the exact sums S and Q (of the values
 *          and of their squares, each square as two float64 values that add up to it) and rounded once: three
 *          roundings in all, a relative error below 2^-51 however close the values are to each other. Only below
 *          about 1e-154, where a square's second part is too small for float64, an absolute error of 1e-160 is
 *          added.
 *
 * Order statistics can't be had in one look without keeping all values (Munro and Paterson 1980). So they are
 * looked at again in the end, a few times (quantiles.h), wherever they are kept: in the file of triplets, which
 * has them all, in memory or in its spool, and costs no memory more; or here, 16 bytes a triplet, which the
 * array that a triplet came in is shrunk to. Where neither is, there are no quartiles. */
#ifndef TRM_MINE_STATISTICS_H
#define TRM_MINE_STATISTICS_H

#include "base/error.h"
#include "mine/quantiles.h"
#include "trimine/mine.h"

#include <mpi.h>

/* "d_ap", "d_an", "gap". */
extern const char *const trm_series_names[TRM_SERIES];

/* Of one series. Where count is 0 all is 0. */
typedef struct trm_statistic {
    int64_t count;
    double mean, std; /* of the population */
    double min, q1, median, q3, max;
    double *edges; /* bins + 1; NULL without a histogram; around a single value half a unit to each side,
                    * from 0 to 1 where there is none, as numpy has it */
    int64_t *bin;  /* how many are in each: from its edge up to the next, which only the last has too */
} trm_statistic;

/* Equal on all ranks. Begins as all zero; trm_statistics_free ends it. */
typedef struct trm_statistics_summary {
    bool ordered; /* q1, median, q3 and the histograms are known */
    int64_t bins; /* 0: no histograms */
    trm_statistic of[TRM_SERIES];
} trm_statistics_summary;

enum { TRM_BINS_MOST = 1 << 16, TRM_KEPT_BYTES_A_TRIPLET = 16 };

typedef struct trm_statistics trm_statistics;

/* Bytes that a rank needs while triplets come, but for those that it keeps; and beside that to finish, where all
 * ranks have so many triplets. Not collective. */
int64_t trm_statistics_bytes(int threads);
int64_t trm_statistics_finish_bytes(int threads, int64_t triplets, int64_t bins);
/* threads: of OpenMP, may differ by rank. Collective. The caller owns *statistics; NULL after a failure.
 * Errors: MEMORY. */
trm_status trm_statistics_create(MPI_Comm comm, int threads, trm_statistics **statistics,
                                 trm_error *err) TRM_MUST_CHECK;

/* Adds triplets; those without a positive (-1) do not count. Not collective. Errors: DATA (a distance that is
 * no number or beyond 2^400: none of float32 rows is, and squares and sums of such can't overflow). */
trm_status trm_statistics_add(trm_statistics *statistics, const trm_triplet *triplets, int64_t count,
                              trm_error *err) TRM_MUST_CHECK;
/* Keeps what order statistics need of triplets that were added: takes the array, which becomes smaller.
 * Not collective. Errors: MEMORY. */
trm_status trm_statistics_keep(trm_statistics *statistics, trm_triplet **triplets, int64_t count,
                               trm_error *err) TRM_MUST_CHECK;
/* A trm_walk_fn over what was kept: source is the trm_statistics. */
trm_status trm_statistics_walk(void *source, trm_look_fn look, void *looker, trm_error *err) TRM_MUST_CHECK;

/* Sums up over all ranks. walk hands out the triplets that were added, on this rank, again; NULL on all ranks:
 * no quartiles and no histograms. bins: 0 to TRM_BINS_MOST. Collective; bins equal on all ranks. Errors:
 * MEMORY, and what walk returns. */
trm_status trm_statistics_finish(trm_statistics *statistics, trm_walk_fn walk, void *source, int64_t bins,
                                 trm_statistics_summary *summary, trm_error *err) TRM_MUST_CHECK;

/* Frees, and sets to NULL; all zero. Not collective. */
void trm_statistics_destroy(trm_statistics **statistics);
void trm_statistics_free(trm_statistics_summary *summary);

#endif
