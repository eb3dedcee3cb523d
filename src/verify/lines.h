/* The lines of a result of mine, in either form, as triplets, and what can be said of them without the rows. */
#ifndef TRM_VERIFY_LINES_H
#define TRM_VERIFY_LINES_H

#include "store/result_lines.h"
#include "verify/view.h"

typedef struct trm_lines {
    trm_result_lines of;
    const trm_view *view;    /* borrowed */
    trm_result_array starts; /* name NULL: there is none */
} trm_lines;

/* Which lines a drawn anchor has; in batches, in that batch (else 0). */
typedef struct trm_drawn {
    int64_t batch, anchor, first, count;
} trm_drawn;

/* Puts together what each rank found in its share of the lines. Collective. */
void trm_drawn_merge(MPI_Comm comm, int64_t count, trm_drawn *drawn);

/* Looks the datasets up. Not collective. The caller closes. Errors: DATA, MEMORY. */
trm_status trm_lines_open(trm_result *result, const trm_view *view, trm_lines *lines,
                          trm_error *err) TRM_MUST_CHECK;
void trm_lines_close(trm_lines *lines);
/* As trm_result_lines_read, with kinds as the rule has them. */
trm_status trm_lines_read(trm_lines *lines, int64_t first, int64_t count, trm_error *err) TRM_MUST_CHECK;
/* Reads this rank's share of the lines and calls visit for the triplet of each, until that fails. Not collective. */
typedef trm_status trm_line_visit(void *context, const trm_triplet *triplet, trm_error *err);
trm_status trm_lines_walk(MPI_Comm comm, trm_lines *lines, trm_line_visit *visit, void *context,
                          trm_error *err) TRM_MUST_CHECK;

/* Looks at all lines: ranges, order, ranks, windows, where anchors start. hash: of all triplets. drawn: ascending by (batch, anchor),
 * whose lines are found. Collective. Errors: DATA, the first fault. */
trm_status trm_lines_check(MPI_Comm comm, trm_lines *lines, int64_t drawn_count, trm_drawn *drawn,
                           char hash[33], trm_error *err) TRM_MUST_CHECK;

/* "result 'x': '/triplets/negative' row 5: ..." */
trm_status trm_lines_fault(const trm_lines *lines, trm_form_column column, int64_t line, trm_error *err,
                           const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
