/* Fits and what follows from them; see forecast.h. */
#include "job/forecast.h"

#include <math.h>

static double clamp(double x, double least, double most)
{
    return x < least ? least : x > most ? most : x;
}

trm_power trm_power_fit(int count, const double *x, const double *y, double least, double most)
{
    double n = 0.0, sum_x = 0.0, sum_y = 0.0, sum_xx = 0.0, sum_xy = 0.0;
    for (int i = 0; i < count; i++) {
        if (!(y[i] > 0.0) || !(x[i] > 0.0))
            continue;
        const double lx = log(x[i]), ly = log(y[i]);
        n += 1.0;
        sum_x += lx;
        sum_y += ly;
        sum_xx += lx * lx;
        sum_xy += lx * ly;
    }
    if (n == 0.0)
        return (trm_power){0.0, least};
    const double spread = n * sum_xx - sum_x * sum_x, along = n * sum_xy - sum_x * sum_y;
    const double power = spread > 1e-9 ? clamp(along / spread, least, most) : least;
    return (trm_power){exp((sum_y - power * sum_x) / n), power};
}

double trm_power_at(trm_power fit, double x)
{
    return fit.factor > 0.0 && x > 0.0 ? fit.factor * pow(x, fit.power) : 0.0;
}

void trm_rates_fit(int count, const double *seconds, const double *u, const double *v, double *a_u,
                   double *a_v)
{
    double uu = 0.0, uv = 0.0, vv = 0.0, us = 0.0, vs = 0.0;
    for (int i = 0; i < count; i++) {
        if (!(seconds[i] > 0.0))
            continue;
        const double p = u[i] / seconds[i], q = v[i] / seconds[i];
        uu += p * p;
        uv += p * q;
        vv += q * q;
        us += p;
        vs += q;
    }
    const double determinant = uu * vv - uv * uv;
    *a_u = uu > 0.0 ? us / uu : 0.0;
    *a_v = 0.0;
    if (!(determinant > 1e-6 * uu * vv)) /* one goes with the other: all is put down to the first */
        return;
    const double first = (us * vv - vs * uv) / determinant, second = (vs * uu - us * uv) / determinant;
    if (first >= 0.0 && second >= 0.0) {
        *a_u = first;
        *a_v = second;
    } else if (first < 0.0) {
        *a_u = 0.0;
        *a_v = vs / vv;
    }
}

trm_sweep_fit trm_sweep_fit_of(int count, const trm_sweep_point *point)
{
    enum { MOST = 8 };
    double rows[MOST], seconds[MOST], pairs[MOST], decided[MOST];
    trm_sweep_fit fit;
    count = count < MOST ? count : MOST;
    for (int i = 0; i < count; i++) {
        rows[i] = point[i].rows;
        seconds[i] = point[i].seconds;
        pairs[i] = point[i].pairs;
        decided[i] = point[i].decided;
    }
    fit.pairs = trm_power_fit(count, rows, pairs, 1.0, 2.0);
    fit.decided = trm_power_fit(count, rows, decided, 1.0, 2.0);
    trm_rates_fit(count, seconds, pairs, decided, &fit.pair_s, &fit.decided_s);
    return fit;
}

double trm_sweep_seconds(const trm_sweep_fit *fit, double rows, int members)
{
    const double apart = 0.3; /* of what it would be if members shared nothing: measured, 2 to 8 of them */
    const double cold = pow((double)members, apart * (2.0 - fit->decided.power));
    return trm_power_at(fit->pairs, rows) * fit->pair_s +
           trm_power_at(fit->decided, rows) * cold * fit->decided_s;
}

trm_ring_share trm_ring_share_of(const trm_schedule *schedule, int teams, int members, int64_t tiles,
                                 int64_t visiting)
{
    const int steps = schedule->steps(teams);
    trm_ring_share share = {.most = 0.0, .visits = 0};
    const int seen[] = {0, teams - 1}; /* all are alike, but for the side of the split step */
    double most = 0.0;
    for (int k = 0; k < 2; k++) {
        for (int m = 0; m < members; m++) {
            double work = 0.0;
            int visits = 0;
            for (int s = 0; s < steps; s++) {
                const trm_region region = schedule->region(teams, members, seen[k], m, s, tiles, visiting);
                work += (double)trm_region_tiles(region);
                visits += s > 0 && !trm_region_empty(region);
            }
            most = work > most ? work : most;
            share.visits = visits > share.visits ? visits : share.visits;
        }
    }
    const double all = (double)teams * (double)tiles,
                 pairs = schedule->one_set ? all * (all + 1.0) / 2.0 : all * (double)teams * (double)visiting,
                 mean = pairs / teams / members;
    share.most = mean > 0.0 && most > mean ? most / mean : 1.0;
    return share;
}

int trm_label_visits_of(const trm_shard *stay, const trm_shard *travel, int teams)
{
    int most = 0;
    for (int t = 0, from = 0, end = 0; t < teams && stay[t].count > 0; t++) {
        while (end < teams && travel[end].count > 0 && travel[end].label_first <= stay[t].label_last)
            end++;
        while (from < end && travel[from].label_last < stay[t].label_first)
            from++;
        const bool own = travel != stay && from <= t && t < end; /* which is there already */
        const int visits = travel == stay ? end - t - 1 : end - from - own;
        most = visits > most ? visits : most;
    }
    return most;
}
