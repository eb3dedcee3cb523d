/* Chi-square by the regularised incomplete gamma function (Abramowitz and Stegun 6.5.29 and 6.5.31). */
#include "support/chi_square.h"

#include <math.h>

/* P(a, x) as a series; for x below a + 1. */
static double gamma_below(double a, double x)
{
    double term = 1.0 / a, sum = term;
    for (int n = 1; n < 10000 && term > sum * 1e-17; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return sum * exp(a * log(x) - x - lgamma(a));
}

/* Q(a, x) as a continued fraction, from its far end; for the other x. */
static double gamma_above(double a, double x)
{
    double fraction = 0.0;
    for (int n = 2000; n > 0; n--)
        fraction = n * (n - a) / (x + 2.0 * n + 1.0 - a - fraction);
    return exp(a * log(x) - x - lgamma(a)) / (x + 1.0 - a - fraction);
}

double chi_square_above(double x, int degrees)
{
    const double a = 0.5 * degrees, half = 0.5 * x;
    if (!(half > 0.0))
        return 1.0;
    return half < a + 1.0 ? 1.0 - gamma_below(a, half) : gamma_above(a, half);
}

double chi_square_test(const int64_t *seen, const double *weight, int cells)
{
    double draws = 0.0, weights = 0.0, statistic = 0.0;
    for (int i = 0; i < cells; i++) {
        if (seen[i] > 0 && !(weight[i] > 0.0))
            return 0.0;
        draws += (double)seen[i];
        weights += weight[i];
    }
    int groups = 0;
    double expected = 0.0, found = 0.0, left = draws;
    for (int i = 0; i < cells; i++) {
        const double share = draws * weight[i] / weights;
        expected += share;
        found += (double)seen[i];
        left -= share;
        if (expected < 5.0 || (left < 5.0 && i + 1 < cells))
            continue;
        statistic += (found - expected) * (found - expected) / expected;
        groups++;
        expected = found = 0.0;
    }
    return groups < 2 ? 1.0 : chi_square_above(statistic, groups - 1);
}
