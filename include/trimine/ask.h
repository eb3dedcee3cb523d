/* What the questions of all pairs of rows (knn.h, mine.h and others) have in common: among which rows, and what was done.
 *
 * Needs abi.h. */
#ifndef TRIMINE_ASK_H
#define TRIMINE_ASK_H

#include "trimine/abi.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Among which rows a row looks: never at itself, which goes by row id; copies of it are rows as others. Of two sets
 * a query looks at the rows of the store. */
typedef enum trm_among {
    TRM_AMONG_ANY,  /* all; then labels need not be there */
    TRM_AMONG_SAME, /* those with its label */
    TRM_AMONG_OTHER /* those with another label */
} trm_among;

/* The most chains of filters that a run chooses from. */
enum { TRM_CHAINS = 12 };

/* A chain of filters: a kernel, or "prefix:W" where it looks at W coordinates first. */
typedef struct trm_chain_use {
    char name[24]; /* "" past the last */
    int64_t
        elements; /* unordered pairs of rows that went through it in this run, of mining in the negatives sweep */
    double ns; /* nanoseconds a pair that a thread of rank 0 needed when it was last tried; 0: never tried */
} trm_chain_use;

/* What was done, equal on all ranks but for compute_s and wait_s. */
typedef struct trm_ask_summary {
    int64_t rows;         /* that asked: of the store, or queries */
    int64_t ignored;      /* dropped by their label */
    int64_t classes;      /* among the store's rows that take part; 0: arranged by id */
    int64_t elements;     /* pairs of rows multiplied */
    int64_t survivors;    /* of these, the pairs the kernel could not rule out */
    int64_t float64;      /* of the elements, those that a canonical distance decided */
    int64_t reused;       /* of the elements, those that an earlier run had multiplied */
    int panels;           /* passes over the rows that the memory limit asked for; 1: none needed */
    int64_t memory_bytes; /* what the formula predicts for a rank, the largest */
    double arrange_s, sweep_s, answers_s; /* largest of any rank */
    double compute_s, wait_s;             /* this rank's */
    trm_chain_use chains[TRM_CHAINS];     /* those that there were to choose from */
} trm_ask_summary;

#ifdef __cplusplus
}
#endif
#endif
