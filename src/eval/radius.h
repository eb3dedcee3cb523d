/* Pairs within a radius in steps: the memory is planned, pairs are counted, then listed and their groups found; and the options.
 * trm_radius_plan is the first step, trm_radius all. */
#ifndef TRM_EVAL_RADIUS_H
#define TRM_EVAL_RADIUS_H

#include "options/option.h"
#include "trimine/radius.h"

typedef struct trm_search trm_search;

/* Pairs that are handed out at a time. */
enum { TRM_SEARCH_AT_ONCE = 1 << 16 };

/* Of trm_radius_options. */
extern const trm_options trm_radius_table;

/* As trm_radius_plan. The caller owns *search, also after a failure, when there is nothing to run. run, rows and queries are
 * borrowed until it is destroyed; rows may be filled meanwhile. Collective. */
trm_status trm_search_create(trm_run *run, const trm_rows *rows, const trm_radius_options *options,
                             trm_radius_summary *summary, trm_search **search, trm_error *err) TRM_MUST_CHECK;
/* Counts, once: fills in the summary but for groups; plans what is to come, and refuses it where it does not fit or there are more
 * pairs to list than may be. Collective. */
trm_status trm_search_count(trm_search *search, trm_radius_summary *summary, trm_error *err) TRM_MUST_CHECK;
/* After it, what is left of trm_radius, once. Collective. */
trm_status trm_search_list(trm_search *search, trm_radius_fn take, void *context, trm_radius_summary *summary,
                           trm_error *err) TRM_MUST_CHECK;
/* Of a search that is created, in place of counting: what a rank is expected to hold where so many pairs are found, about as many of each
 * row; *bytes, also where it does not fit. For plans: it can't run then. Collective. Errors: MEMORY. */
trm_status trm_search_expect(trm_search *search, int64_t pairs, int64_t *bytes,
                             trm_error *err) TRM_MUST_CHECK;
/* Then: this rank's share of rows; borrowed. Not collective. */
trm_radius_rows trm_search_rows(const trm_search *search);
/* As trm_anchors_travel, by the plan that was made last. Not collective. */
void trm_search_travel(const trm_search *search, int64_t *visit, int64_t *home);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_search_destroy(trm_search **search);

#endif
