/* Means of what queries scored: over all of them, and over classes of the means over their queries. Sums are exact, so it does
 * not matter which rank has which query; each is rounded once. */
#ifndef TRM_EVAL_MEANS_H
#define TRM_EVAL_MEANS_H

#include "eval/scores.h"

#include <mpi.h>

typedef struct trm_means trm_means;

/* scores is borrowed until destroy. by_class: there are macro means. table: each class's are kept. Equal on all ranks; not
 * collective. The caller owns *means. Errors: MEMORY. */
trm_status trm_means_create(MPI_Comm comm, const trm_scores *scores, bool by_class, bool table,
                            trm_means **means, trm_error *err) TRM_MUST_CHECK;
void trm_means_destroy(trm_means **means);
/* Bytes that they take on a rank that has so many classes. */
int64_t trm_means_bytes(int64_t classes, bool table);

/* One query. Those of a class come one after the other, as many as `of` where this rank has all of them. Not collective.
 * Errors: MEMORY. */
trm_status trm_means_add(trm_means *means, int64_t label, int64_t of, const trm_scored *scored,
                         trm_error *err) TRM_MUST_CHECK;
/* Fills in queries, classes, micro and macro of the summary. Collective. Errors: MEMORY. */
trm_status trm_means_finish(trm_means *means, trm_eval_summary *summary, trm_error *err) TRM_MUST_CHECK;
/* With a table, after that: this rank's classes; borrowed. */
const trm_eval_class *trm_means_table(const trm_means *means, int64_t *count);

#endif
