/* What a loss over two sets asks of its queries, beside what it asks of any rows. */
#ifndef TRM_LOSS_QUERIES_H
#define TRM_LOSS_QUERIES_H

#include "rows/given.h"
#include "rows/rows.h"
#include "trimine/loss.h"

/* Queries are there as rows and as a batch, on all ranks or on none, and go with the store and this source. local: what
 * the caller found. Not agreed. Collective. Errors: USAGE. */
trm_status trm_queries_check_options(const trm_run *run, const trm_rows *rows,
                                     const trm_evaluate_options *options, trm_status local,
                                     trm_error *err) TRM_MUST_CHECK;

/* How many queries are the anchor of one of all ranks' given triplets, whose row ids are good. Collective. Errors:
 * MEMORY. */
trm_status trm_queries_count_named(const trm_given *queries, const trm_given_triplets *list, int64_t *count,
                                   trm_error *err) TRM_MUST_CHECK;

#endif
