/* How long a sweep over many rows takes, from sweeps over samples of them. Pure arithmetic; none of it is collective.
 *
 * A sweep costs so much a pair of rows that is multiplied, and so much a pair that is left for float64. How many there are of
 * each is counted, not timed, so that noise is not in it: both go as a power of the rows, which is fitted to the samples.
 * Pairs go as the square of the rows. Those that are left grow with more than the rows, as windows narrow only slowly, and
 * with less than their square. The costs of the two are fitted to the seconds. */
#ifndef TRM_JOB_FORECAST_H
#define TRM_JOB_FORECAST_H

#include "rows/rows.h"
#include "sweep/schedule.h"

#include <stdint.h>

/* y = factor * x^power; factor 0: always 0. */
typedef struct trm_power {
    double factor, power;
} trm_power;

/* The least squares of logarithms, with a power in [least, most]. y below or at 0 are left out; of one point, or points of one x,
 * the power is least. */
trm_power trm_power_fit(int count, const double *x, const double *y, double least, double most);
double trm_power_at(trm_power fit, double x);

/* seconds = u * *a_u + v * *a_v with rates of 0 or more: the least squares of relative errors. */
void trm_rates_fit(int count, const double *seconds, const double *u, const double *v, double *a_u,
                   double *a_v);

/* What a sweep over a sample took. */
typedef struct trm_sweep_point {
    double rows, seconds, pairs, decided; /* decided: in float64 */
} trm_sweep_point;

typedef struct trm_sweep_fit {
    trm_power pairs, decided;
    double pair_s, decided_s; /* seconds each */
} trm_sweep_fit;

trm_sweep_fit trm_sweep_fit_of(int count, const trm_sweep_point *point);
/* Of all ranks together, of teams of so many members: each sees a part of the pairs, and hears of the others now and then, so that
 * the team decides more. */
double trm_sweep_seconds(const trm_sweep_fit *fit, double rows, int members);

/* The ring of one set of rows, or of two: rows of tiles of a shard that stays, and of one that visits. */
typedef struct trm_ring_share {
    double most; /* the busiest rank's work over the mean's */
    int visits;  /* the most shards that come to a rank */
} trm_ring_share;
trm_ring_share trm_ring_share_of(const trm_schedule *schedule, int teams, int members, int64_t tiles,
                                 int64_t visiting);

/* Where positives are sought only shards visit that may share a label with those that they come to: the most that come to one team.
 * travel == stay: one set, each pair of teams meets once. Shards of a set are by ascending label. */
int trm_label_visits_of(const trm_shard *stay, const trm_shard *travel, int teams);

#endif
