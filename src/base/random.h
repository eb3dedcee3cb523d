/* Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): a value depends on (seed, stream, index)
 * alone, never on rank, thread or order. */
#ifndef TRM_BASE_RANDOM_H
#define TRM_BASE_RANDOM_H

#include <stdint.h>

/* 128 random bits for (seed, stream, index). */
void trm_random_bits(uint64_t seed, uint64_t stream, uint64_t index, uint32_t bits[4]);

/* Uniform in (0, 1], never 0, of 53 of the bits. */
double trm_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* count independent standard normal values (Box-Muller) for (seed, stream); stream tells rows and centres
 * apart. */
void trm_random_normals(uint64_t seed, uint64_t stream, int count, double *values);

#endif
