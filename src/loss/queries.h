/* What a loss over two sets asks of its queries, beside what it asks of any rows. */
#ifndef TRM_LOSS_QUERIES_H
#define TRM_LOSS_QUERIES_H

#include "rows/given.h"
#include "rows/rows.h"
#include "trimine/loss.h"

/* Queries are there on all ranks or on none, are rows of the store's dim, and go with this source. local: what the
 * caller found. Not agreed. Collective. Errors: USAGE. */
trm_status trm_queries_check_options(const trm_run *run, const trm_rows *rows,
                                     const trm_evaluate_options *options, trm_status local,
                                     trm_error *err) TRM_MUST_CHECK;

/* Refuses this rank's first query that is not finite, or of norm 0 under cosine; those with a label to ignore are not
 * looked at. Not collective. Errors: DATA. */
trm_status trm_queries_check_rows(const trm_rows *rows, const trm_given *queries, bool labelled,
                                  trm_metric metric, trm_error *err) TRM_MUST_CHECK;

/* Fills in summary->anchors and summary->classes by the labels of queries and of the store: a query is valid whose
 * label the store has, and another one, too. Collective. Errors: MEMORY. */
trm_status trm_queries_count(const trm_rows *rows, const trm_given *queries, trm_mine_summary *summary,
                             trm_error *err) TRM_MUST_CHECK;

/* The same by given triplets, whose row ids are good: a query is valid that is the anchor of one. What the others lack
 * is not known, so they count as neither. Collective. Errors: MEMORY. */
trm_status trm_queries_count_named(const trm_rows *rows, const trm_given *queries,
                                   const trm_given_triplets *list, trm_mine_summary *summary,
                                   trm_error *err) TRM_MUST_CHECK;

#endif
