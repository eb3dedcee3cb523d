/* Pearson's chi-square test: whether counts of draws look like their distribution. With a fixed seed the
 * answer is fixed, too. */
#ifndef TESTS_SUPPORT_CHI_SQUARE_H
#define TESTS_SUPPORT_CHI_SQUARE_H

#include <stdint.h>

/* The chance that chi-square with so many degrees of freedom (1 or more) is at least x. */
double chi_square_above(double x, int degrees);

/* The chance that draws from the distribution differ from it at least as much as these: near 0 where they
 * are not from it. seen: draws a cell; weight: of each cell, of any sum. Cells that expect fewer than five
 * draws are joined with the next ones. 0 where a cell of weight 0 was drawn; 1 where one cell is left. */
double chi_square_test(const int64_t *seen, const double *weight, int cells);

#endif
